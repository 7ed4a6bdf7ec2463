//! What a process needs once, before its first client.

use std::sync::Once;

use tracing_subscriber::EnvFilter;

/// Installs the TLS provider and a log subscriber that writes where the test harness captures it. Any number of calls.
///
/// The log is for a person who looks at a failed test: warnings, unless `RUST_LOG` says otherwise.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Both fail only if the process has chosen one already, and then that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
    });
}
