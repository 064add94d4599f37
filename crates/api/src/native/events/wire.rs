//! Events as JSON.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::native::sandboxes::wire::Reason;

/// Some events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// Oldest first.
    pub(crate) events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Position in the log; strictly rising.
    pub(crate) sequence: u64,
    /// RFC 3339.
    pub(crate) at: String,
    /// UUID of the sandbox concerned, if one is.
    pub(crate) sandbox_id: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub(crate) kind: EventKind,
}

/// The closed set of things that happen.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// A sandbox entered a state.
    StateChanged {
        /// The state entered.
        state: &'static str,
        /// Why, if there is more to say.
        reason: Option<Reason>,
    },
    /// Requests were refused; only in the audit.
    AccessDenied {
        /// `key` (none, or not known), `scope`, `other_account` or `rate`.
        refusal: &'static str,
        /// UUID of the account whose key it was, if the key is known.
        account_id: Option<String>,
        /// Address that the requests came from, where it is known.
        peer: Option<String>,
        /// How many, since the last event of the same refusal, account and address.
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
        /// UUID of the template.
        template_id: String,
        /// Its name.
        name: String,
        /// `pulling`, `committing`, `building`, `active`, `inactive`, `error` or `removing`.
        template_state: &'static str,
        /// What went wrong, if something did.
        failure: Option<String>,
    },
    /// A pull of an image came a step further.
    ImagePull {
        /// The image, as a full reference.
        reference: String,
        /// `started`, `layer_fetched`, `layer_ready`, `finished` or `failed`.
        step: &'static str,
        /// Digest of the layer, where the step is a layer's.
        layer: Option<String>,
        /// Why it failed, if it did.
        failure: Option<String>,
    },
    /// The role of a sandbox came a step further.
    RoleProgress {
        /// Id of the role.
        role: String,
        /// `started`, `index`, `packages`, `script`, `applied` or `failed`.
        step: &'static str,
        /// Packages that are installed, of a step that counts them.
        installed: Option<u32>,
        /// Packages that shall be, of a step that counts them.
        wanted: Option<u32>,
        /// What there is to say at the end: why it failed, or which packages are missing.
        message: Option<String>,
    },
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Those behind this sequence. If it is absent, a list begins with the oldest, and a stream with the next.
    pub(crate) after: Option<u64>,
    /// How many at most, in a list: 1 to 1000, 100 if it is absent.
    pub(crate) limit: Option<u32>,
}
