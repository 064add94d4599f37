//! What happened, for people and programs that watch.

use std::net::IpAddr;

use crate::{
    AccountId, Digest, PackageCount, Reason, RoleStep, SandboxId, State, TemplateId, TemplateState, Timestamp,
};

/// One fact in the server's event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position in the log; strictly rising, and the cursor of a reader. Zero until the store has numbered it.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Whose it is.
    pub account: AccountId,
    /// The sandbox concerned, if one is.
    pub sandbox: Option<SandboxId>,
    /// What happened.
    pub kind: EventKind,
}

/// The closed set of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A sandbox entered a state.
    StateChanged {
        /// The state entered.
        state: State,
        /// Why, if there is more to say than the verb.
        reason: Option<Reason>,
    },
    /// Requests were refused in a way that an operator should be able to find later. It belongs to
    /// [`AUDIT_ACCOUNT`].
    AccessDenied {
        /// Why.
        refusal: Refusal,
        /// Whose key it was; `None` if no key was known.
        account: Option<AccountId>,
        /// Where the requests came from; `None` where that is not known.
        peer: Option<IpAddr>,
        /// How many, since the last event of the same refusal, account and peer.
        count: u64,
    },
    /// The sandbox tried to reach what its network policy refuses.
    EgressDenied {
        /// A name, or an address and a port.
        destination: String,
        /// Why not.
        reason: String,
        /// How often since the last such event of the same destination and reason.
        count: u64,
    },
    /// A template was made or changed.
    TemplateChanged {
        /// Which.
        template: TemplateId,
        /// Its name.
        name: String,
        /// The state that it is in; [`TemplateState::Removing`] is the last that is told.
        state: TemplateState,
        /// What went wrong, if something did.
        reason: Option<String>,
    },
    /// A pull that the account waits for came a step further. Bytes on the way are not events: who pulls sees them.
    ImagePull {
        /// The image, as a full reference.
        reference: String,
        /// The step that was made.
        step: PullStep,
        /// The layer that made it, if one did.
        layer: Option<Digest>,
        /// Why the pull failed, if it did.
        reason: Option<String>,
    },
    /// The sandbox's role came a step further.
    RoleProgress {
        /// Id of the role.
        role: String,
        /// The step that was made.
        step: RoleStep,
        /// How many packages are there, of a step that counts them.
        packages: Option<PackageCount>,
        /// What there is to say at the end: why it failed, or what is missing.
        message: Option<String>,
    },
}

/// The steps of a pull that are events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStep {
    /// The registry is asked.
    Started,
    /// A layer is here.
    LayerFetched,
    /// A layer is applied, or an image that was here had it.
    LayerReady,
    /// The image is here.
    Finished,
    /// There will be no image, and nothing is kept.
    Failed,
}

impl PullStep {
    /// Every step.
    pub const ALL: [Self; 5] =
        [Self::Started, Self::LayerFetched, Self::LayerReady, Self::Finished, Self::Failed];

    /// The word that dialects show and the store keeps.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::LayerFetched => "layer_fetched",
            Self::LayerReady => "layer_ready",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// The account of events that are the operator's: no account has this id, since ids hold a time or are random.
pub const AUDIT_ACCOUNT: AccountId = AccountId::from_bytes([0; 16]);

/// Why a request was refused, where that says something about who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There was no key, or none that is known.
    Key,
    /// The key may not do this.
    Scope,
    /// The object is another account's.
    OtherAccount,
    /// There were too many requests.
    Rate,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 4] = [Self::Key, Self::Scope, Self::OtherAccount, Self::Rate];

    /// Its word in stored and shown events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Scope => "scope",
            Self::OtherAccount => "other_account",
            Self::Rate => "rate",
        }
    }
}
