//! A pull that somebody watches: one bar a layer.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use reqwest::header;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::events_stream::{EventStream, ServerEvent};
use crate::failure::Failure;
use crate::server_error::{ErrorBody, ServerError};
use crate::wire::{Image, LayerProgress, PullProgress};

/// Digits of a digest that tell layers apart.
const SHORT_DIGITS: usize = 12;

/// Has the server fetch an image, and shows how far it is. A process that ends gives the pull up.
pub(crate) async fn pull(client: &Client, reference: &str) -> Result<Image> {
    let request = client
        .post(&["images", "pull"])?
        .json(&json!({ "reference": reference }))
        .header(header::ACCEPT, "text/event-stream");
    let mut events = EventStream::new(client.send(request).await?);
    let mut bars = Bars::default();
    while let Some(event) = events.next().await? {
        match event.kind.as_str() {
            "progress" => bars.show(&parse::<PullProgress>(&event)?),
            "image" => {
                bars.clear();
                return parse(&event);
            }
            "error" => {
                #[derive(Deserialize)]
                struct Failed {
                    error: ErrorBody,
                }
                bars.clear();
                return Err(ServerError::from(parse::<Failed>(&event)?.error).into());
            }
            // A later server may tell more.
            _ => {}
        }
    }
    Err(Failure::new("the server ended the stream before the image was there").into())
}

fn parse<'a, T: Deserialize<'a>>(event: &'a ServerEvent) -> Result<T> {
    serde_json::from_str(&event.data).context("the server's event is not what this program expects")
}

/// Bars on standard error, by layer; there are none if nobody watches.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    layers: HashMap<String, ProgressBar>,
}

impl Bars {
    fn show(&mut self, progress: &PullProgress) {
        for layer in &progress.layers {
            let bar = self.layers.entry(layer.digest.clone()).or_insert_with(|| self.all.add(new_bar(layer)));
            bar.set_position(layer.fetched_bytes);
            bar.set_message(match layer.step.as_str() {
                "shared" => "already here".to_owned(),
                step => step.to_owned(),
            });
            if matches!(layer.step.as_str(), "done" | "shared") {
                bar.finish();
            }
        }
    }

    fn clear(&self) {
        for bar in self.layers.values() {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(layer: &LayerProgress) -> ProgressBar {
    let template = "{prefix} [{bar:30}] {binary_bytes}/{binary_total_bytes} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template above is well-formed");
    let digits = layer.digest.split_once(':').map_or(layer.digest.as_str(), |(_, digits)| digits);
    let short: String = digits.chars().take(SHORT_DIGITS).collect();
    ProgressBar::new(layer.bytes).with_style(style.progress_chars("=> ")).with_prefix(short)
}
