//! Which calls of a tool need a person's approval.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// Which calls of a tool need a person's approval, and how long they wait for it.
///
/// The policy is asked once for each call, before anything of it happens, and the answer is journalled. It
/// is a function of the arguments and of nothing else.
#[derive(Clone)]
pub struct Approval {
    policy: Policy,
    expires_in: Duration,
}

#[derive(Clone)]
enum Policy {
    None,
    Always,
    When { name: Arc<str>, is_needed: Arc<dyn Fn(&Value) -> bool + Send + Sync> },
}

impl Approval {
    /// How long a call waits for a person, unless told otherwise: a day.
    pub const EXPIRES_IN: Duration = Duration::from_secs(24 * 60 * 60);

    /// No call needs one.
    #[must_use]
    pub fn none() -> Self {
        Self { policy: Policy::None, expires_in: Self::EXPIRES_IN }
    }

    /// Every call needs one.
    #[must_use]
    pub fn always() -> Self {
        Self { policy: Policy::Always, expires_in: Self::EXPIRES_IN }
    }

    /// Calls need one whose arguments are such. The name stands for the policy in the journal: give it
    /// another one whenever the function decides otherwise, so that the change is noticed.
    #[must_use]
    pub fn when(
        name: impl Into<Arc<str>>,
        is_needed: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) -> Self {
        let policy = Policy::When { name: name.into(), is_needed: Arc::new(is_needed) };
        Self { policy, expires_in: Self::EXPIRES_IN }
    }

    /// Sets how long a call waits; then it counts as denied. Default a day.
    #[must_use]
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = expires_in;
        self
    }

    /// Whether a call with these arguments needs one.
    #[must_use]
    pub fn is_needed(&self, arguments: &Value) -> bool {
        match &self.policy {
            Policy::None => false,
            Policy::Always => true,
            Policy::When { is_needed, .. } => is_needed(arguments),
        }
    }

    /// Whether no call ever needs one.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self.policy, Policy::None)
    }

    /// How long a call waits for a person.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.expires_in
    }
}

impl Default for Approval {
    fn default() -> Self {
        Self::none()
    }
}

/// The text tells one policy from another.
impl fmt::Debug for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Policy::None => f.write_str("no approval"),
            Policy::Always => write!(f, "approval within {:?}", self.expires_in),
            Policy::When { name, .. } => {
                write!(f, "approval by {name} within {:?}", self.expires_in)
            }
        }
    }
}
