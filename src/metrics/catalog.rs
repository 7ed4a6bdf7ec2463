//! Every number that the operator shows and what it means: the help in `/metrics` and the table of the user guide.

/// What Prometheus does with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Type {
    /// It only grows; its name ends in `_total` where it is shown.
    Counter,
    /// It comes and goes.
    Gauge,
    /// Counted by size.
    Histogram,
}

/// One number.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Without the prefix `coder_operator_`, and without the ending of its type.
    pub name: &'static str,
    /// What Prometheus does with it.
    pub type_: Type,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

const fn number(name: &'static str, type_: Type, labels: &'static [&'static str], help: &'static str) -> Described {
    Described {
        name,
        type_,
        labels,
        help,
    }
}

/// All of them.
pub const ALL: &[Described] = &[
    number(
        "passes",
        Type::Counter,
        &["kind", "outcome"],
        "Reconcile passes by kind and outcome (a reason, or InSync)",
    ),
    number("pass_duration_seconds", Type::Histogram, &["kind"], "Time a pass took"),
    number(
        "objects_waiting",
        Type::Gauge,
        &[],
        "Objects whose pass waits for its turn",
    ),
    number("passes_running", Type::Gauge, &[], "Passes under way"),
    number(
        "coder_calls",
        Type::Counter,
        &["method", "path", "status"],
        "Calls to Coder by path template and status, which without an answer is the class of the failure",
    ),
    number(
        "drifts",
        Type::Counter,
        &["kind", "handling"],
        "Changes made behind the operator's back that it found: corrected or reported",
    ),
    number(
        "drift_repeats",
        Type::Counter,
        &["kind"],
        "Fights: objects of which a field was set back after the same author more than 3 times within an hour",
    ),
    number(
        "unreadable_objects",
        Type::Counter,
        &["kind"],
        "Custom resources that could not be read, each time; the log names them",
    ),
    number(
        "feed_entries",
        Type::Counter,
        &[],
        "Entries of the audit log that were read",
    ),
    number(
        "feed_wakes",
        Type::Counter,
        &[],
        "What was looked at again because of the audit log",
    ),
    number(
        "feed_fallbacks",
        Type::Counter,
        &[],
        "How often the sweeps took over from the audit log",
    ),
    number(
        "feed_lag_seconds",
        Type::Histogram,
        &[],
        "Age of the newest entry when it was handled",
    ),
    number(
        "lists",
        Type::Counter,
        &["collection", "outcome"],
        "List calls of the mirror by collection and outcome",
    ),
    number(
        "snapshot_age_seconds",
        Type::Gauge,
        &["collection"],
        "Time since a collection of that name was last listed",
    ),
    number("objects", Type::Gauge, &["kind"], "Custom resources by kind"),
    number(
        "object_conditions",
        Type::Gauge,
        &["kind", "condition", "status"],
        "Custom resources by kind and condition",
    ),
    number("breakers_open", Type::Gauge, &[], "Deployments that do not answer"),
    number(
        "license_expiry_timestamp_seconds",
        Type::Gauge,
        &[],
        "When the licence that expires first does, in seconds since 1970",
    ),
    number(
        "token_expiry_timestamp_seconds",
        Type::Gauge,
        &[],
        "When the token that ends first does, in seconds since 1970",
    ),
    number(
        "workspace_proxies",
        Type::Gauge,
        &["health"],
        "Workspace proxies by health",
    ),
    number(
        "unlisted",
        Type::Gauge,
        &["kind"],
        "Lists that the operator cannot make: a namespace or definition is missing or forbidden",
    ),
    number(
        "leader",
        Type::Gauge,
        &[],
        "Whether this replica leads, and so may write",
    ),
];

impl Described {
    /// As it is written in a query; a histogram without the endings of its parts.
    #[must_use]
    pub fn shown(&self) -> String {
        let ending = if self.type_ == Type::Counter { "_total" } else { "" };
        format!("{}_{}{ending}", super::PREFIX, self.name)
    }
}

/// What a number means.
pub(super) fn help(name: &str) -> &'static str {
    let described = ALL.iter().find(|described| described.name == name);
    described.map(|described| described.help).unwrap_or_default()
}
