//! The contract of the ports, asked of any implementation: `of_a_store!(open)` and `of_blobs!(open)` make one test a
//! case, each on a fresh instance. Another database is tested by one more line in `main.rs`.

use std::any::Any;
use std::sync::Arc;

use lazaret_core::ports::{Blobs, Store};

pub(crate) mod accounts;
pub(crate) mod blobs;
pub(crate) mod catalogue;
pub(crate) mod domain_secrets;
pub(crate) mod events;
pub(crate) mod keys;
pub(crate) mod sandboxes;
pub(crate) mod secrets;
pub(crate) mod templates;
pub(crate) mod uploads;
pub(crate) mod volumes;

/// An empty store. `keep` is dropped last: it removes what the store is on.
pub(crate) struct OpenedStore {
    pub(crate) store: Arc<dyn Store>,
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) keep: Box<dyn Any>,
}

/// No blobs yet.
pub(crate) struct OpenedBlobs {
    pub(crate) blobs: Arc<dyn Blobs>,
    /// How many blobs are there in part.
    pub(crate) partial: Box<dyn Fn() -> usize + Send + Sync>,
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) keep: Box<dyn Any>,
}

macro_rules! tests {
    ($open:path; $($module:ident { $($case:ident)* })*) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let opened = $open();
                crate::contract::$module::$case(&opened).await;
            })*
        })*
    };
}

macro_rules! of_a_store {
    ($open:path) => {
        crate::contract::tests! { $open;
            accounts {
                an_account_is_found_by_its_id_and_listed_oldest_first
                a_name_that_is_taken_is_refused
                deleting_an_account_takes_its_keys_with_it
                an_account_that_still_owns_something_is_not_deleted
            }
            keys {
                a_key_is_found_by_the_hash_of_its_secret
                a_key_is_deleted_by_its_own_account_only
                a_key_of_nobody_is_refused
                a_secret_has_one_key
            }
            secrets {
                a_secret_is_made_once_and_counts_starts_and_rotations
                withdrawals_are_bounded_and_forgotten_after_their_end
                a_secret_and_its_withdrawals_go_with_their_sandbox
            }
            sandboxes {
                every_field_of_a_sandbox_reads_back
                every_state_and_reason_reads_back
                updating_replaces_the_record_and_keeps_its_place
                updating_a_sandbox_that_is_gone_is_not_found
                touching_changes_the_activity_alone
                two_creations_in_the_same_second_keep_their_order
                creations_at_once_get_a_place_each
                a_sandbox_of_nobody_is_refused
                an_id_that_is_there_is_refused
                a_deleted_sandbox_leaves_its_place_to_its_own_account
                a_sandbox_is_deleted_once_by_two_at_once
            }
            templates {
                every_field_of_a_template_reads_back
                a_templates_name_is_unique_within_its_account
            }
            volumes {
                every_field_of_a_volume_reads_back_to_its_own_account
                a_volumes_name_is_unique_within_its_account
                quotas_take_the_last_volume_and_the_last_byte_and_not_one_more
                volumes_made_at_once_share_a_quota_exactly
                pages_of_volumes_go_on_behind_one_that_was_deleted
            }
            domain_secrets {
                secrets_read_back_and_may_be_there_before_their_sandbox
                secrets_go_with_their_sandbox_or_before_it
            }
            catalogue {
                an_entry_is_added_once_and_then_replaced
                a_path_that_is_not_utf8_reads_back
                a_path_has_one_entry
                an_entry_of_no_sandbox_is_refused
                an_entry_that_was_deleted_stays_deleted
                a_deleted_entry_leaves_its_place_to_its_own_sandbox
                a_deleted_sandbox_takes_its_catalogue_with_it
            }
            uploads {
                an_upload_is_found_by_its_own_account_only
                pages_follow_each_other_in_both_directions
                a_page_starts_behind_an_upload_that_was_deleted
                a_purpose_filters_before_the_page_is_cut
                a_quota_takes_its_last_byte_and_not_one_more
                a_refused_upload_spends_nothing
                uploads_at_once_share_a_quota_exactly
                an_upload_deleted_twice_at_once_frees_its_bytes_once
                an_upload_of_nobody_is_refused
                uploads_past_their_time_are_listed
                a_blob_is_used_until_its_last_upload_is_gone
            }
            events {
                events_are_read_behind_a_cursor_by_their_own_account
                every_kind_of_event_reads_back
                an_event_survives_its_account
            }
        }
    };
}

macro_rules! of_blobs {
    ($open:path) => {
        crate::contract::tests! { $open;
            blobs {
                a_body_reads_back_from_any_offset
                a_body_in_many_chunks_is_one_blob
                an_empty_body_is_a_blob
                the_same_content_is_stored_once
                a_body_of_the_limit_is_taken_and_one_byte_more_leaves_nothing
                a_body_that_fails_leaves_nothing
                a_put_whose_caller_goes_away_leaves_nothing
                a_removed_blob_is_gone_and_can_come_back
                a_reader_that_has_begun_outlives_the_removal
                puts_of_one_content_at_once_all_succeed
            }
        }
    };
}

pub(crate) use {of_a_store, of_blobs, tests};
