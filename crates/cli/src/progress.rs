//! Progress bars on standard error, for transfers that a person waits for. There are none if nobody watches.

use std::borrow::Cow;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for a transfer of `total` bytes, or a counter if that is not known.
pub(crate) fn transfer(what: impl Into<Cow<'static, str>>, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        None => "{msg} {spinner} {binary_bytes} {binary_bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.with_style(style.progress_chars("=> ")).with_message(what)
}
