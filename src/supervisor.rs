//! The long tasks of the process. One that panics, or ends before its time, ends the process with an error: a part that is
//! missing in silence would be worse than a restart.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs tasks and notices how they end.
pub struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
    failed: mpsc::UnboundedSender<&'static str>,
    failures: Mutex<Option<mpsc::UnboundedReceiver<&'static str>>>,
}

impl Default for Supervisor {
    fn default() -> Self {
        let (failed, failures) = mpsc::unbounded_channel();
        Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            failed,
            failures: Mutex::new(Some(failures)),
        }
    }
}

impl Supervisor {
    /// Told to everybody when the process is to stop.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a part that must go on until the process stops.
    pub fn run(&self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let (failed, stop) = (self.failed.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let ended = AssertUnwindSafe(part).catch_unwind().await;
            if ended.is_err() || !stop.is_cancelled() {
                report(&failed, name);
            }
        });
    }

    /// Runs something that may end, or be ended, at any time, but must not panic. It is not waited for.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let failed = self.failed.clone();
        let task = tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                report(&failed, name);
            }
        });
        task.abort_handle()
    }

    /// Waits until a part fails; answers with its name. May be asked once.
    pub async fn failed(&self) -> &'static str {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut failures) = failures
            && let Some(name) = failures.recv().await
        {
            return name;
        }
        std::future::pending().await
    }

    /// Stops the parts; says whether they all ended in that time.
    pub async fn end(&self, within: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}

fn report(failed: &mpsc::UnboundedSender<&'static str>, name: &'static str) {
    tracing::error!(part = name, "a part of the operator ended unexpectedly");
    // Nobody listens any more once the process is ending.
    let _ = failed.send(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_or_ends_before_its_time_is_named() {
        let supervisor = Supervisor::default();
        supervisor.run("panics", async { panic!("a defect") });
        assert_eq!(supervisor.failed().await, "panics");

        let supervisor = Supervisor::default();
        supervisor.run("ends", async {});
        assert_eq!(supervisor.failed().await, "ends");

        let supervisor = Supervisor::default();
        drop(supervisor.spawn("panics as well", async { panic!("a defect") }));
        assert_eq!(supervisor.failed().await, "panics as well");
    }

    #[tokio::test]
    async fn what_ends_when_it_is_told_to_has_not_failed() {
        let supervisor = Supervisor::default();
        let stop = supervisor.stop();
        supervisor.run("part", async move { stop.cancelled().await });
        supervisor.spawn("task", std::future::pending()).abort();
        assert!(supervisor.end(Duration::from_secs(10)).await);
        assert!(supervisor.failed().now_or_never().is_none());
    }
}
