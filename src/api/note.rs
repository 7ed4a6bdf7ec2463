//! The informational conditions of all kinds.

/// What there may be to say of an object beside its state; the type of a condition that is there only while it is true.
/// Conditions of other types belong to other writers: they are neither read nor changed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::EnumIter, strum::Display,
)]
pub enum NoteType {
    /// The same field was set back again and again.
    DriftRepeats,
    /// Entries of a map that stay when the map does not name them any more.
    EntriesStay,
    /// A licence ends soon.
    Expiring,
    /// What Coder says against the licences of the deployment.
    LicenseWarning,
    /// A setting takes everybody out of all organizations.
    LocksOut,
    /// The identity provider overwrites the members.
    MembersOverridden,
    /// Members who are not there yet.
    MembersPending,
    /// Members who stay when the list does not name them any more.
    MembersStay,
    /// Members were managed and are not any more.
    MembersUnmanaged,
    /// A name leads to something else by now.
    NameMoved,
    /// Coder keeps a setting and does nothing with it.
    NotEffective,
    /// A licence gives nothing yet.
    NotValidYet,
    /// A new licence does not give what the old one gives.
    RenewalPending,
    /// A licence was replaced and cannot be told from somebody else's.
    ReplacedLicenseLeft,
    /// The token cannot change what the objects ask.
    RoleTooSmall,
    /// A secret of what was taken over is known only to whoever created it.
    SecretNotIssued,
    /// The token ends soon.
    TokenExpiring,
    /// The token of a proxy is known only to whoever created that.
    TokenNotIssued,
    /// Client secrets that nobody is known to hold.
    UnclaimedSecrets,
    /// A list or a map was managed and is not any more.
    Unmanaged,
    /// People who are not there yet.
    UsersPending,
}

impl NoteType {
    /// The word itself.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
