//! What happens without a request: leases end, uploads expire, unused blobs go, activity is written.
//!
//! Each pass compares what is with what should be, needs no input, and may run again at any time; the same path serves
//! the happy case and the start after a crash.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::audit;
use super::context::Context;
use super::image_collection;
use super::sandboxes::expire_if_due;
use crate::limits;

/// Sandboxes whose lease is applied at the same time: enough to hide waits, few enough to leave the host responsive.
const PARALLEL: usize = 8;

/// Runs passes on a timer and on wake-up until cancelled.
pub(super) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut timer = tokio::time::interval(limits::RECONCILE_INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = timer.tick() => {}
            () = context.wake.notified() => {}
        }
        pass(&context).await;
    }
    write_activity(&context).await;
}

/// One pass of every reconciler.
pub(super) async fn pass(context: &Arc<Context>) {
    apply_leases(context).await;
    write_activity(context).await;
    audit::pass(context).await;
    context.templates.sweep();
    let now = context.ports.clock.monotonic();
    context.table.all().iter().for_each(|entry| entry.interpreters.retire(now));
    let uploads = async {
        expire_uploads(context).await?;
        collect_blobs(context).await
    };
    if let Err(error) = uploads.await {
        tracing::error!(error = &error as &dyn std::error::Error, "uploaded files could not be collected");
    }
    if let Err(error) = image_collection::collect_if_due(context).await {
        tracing::error!(error = &error as &dyn std::error::Error, "unused images could not be collected");
    }
}

async fn apply_leases(context: &Arc<Context>) {
    stream::iter(context.table.all())
        .for_each_concurrent(PARALLEL, |entry| async move {
            if let Err(error) = expire_if_due(context, &entry).await {
                tracing::error!(sandbox.id = %entry.id, error = &error as &dyn std::error::Error,
                    "the lease of a sandbox could not be applied");
            }
        })
        .await;
}

async fn write_activity(context: &Context) {
    for entry in context.table.all() {
        if entry.activity.take_unwritten().is_none() || entry.record().state == crate::State::Deleted {
            continue;
        }
        if let Err(error) = context.ports.store.touch_sandbox(entry.id, entry.activity.last_active_at()).await
        {
            tracing::warn!(sandbox.id = %entry.id, error = &error as &dyn std::error::Error,
                "the activity of a sandbox could not be recorded");
        }
    }
}

async fn expire_uploads(context: &Context) -> crate::Result<()> {
    for upload in context.ports.store.list_expired_uploads(context.now()).await? {
        context.ports.store.delete_upload(upload.account, upload.id).await?;
        context.unused_blobs.store(true, Ordering::Release);
    }
    Ok(())
}

/// Removes content that no record names, unless an upload is on its way: then a later pass will.
async fn collect_blobs(context: &Context) -> crate::Result<()> {
    if !context.unused_blobs.load(Ordering::Acquire) {
        return Ok(());
    }
    let Ok(_nobody_uploads) = context.blobs_in_use.try_write() else { return Ok(()) };
    context.unused_blobs.store(false, Ordering::Release);
    for digest in context.ports.blobs.list().await? {
        if !context.ports.store.is_blob_used(&digest).await? {
            context.ports.blobs.remove(&digest).await?;
        }
    }
    Ok(())
}
