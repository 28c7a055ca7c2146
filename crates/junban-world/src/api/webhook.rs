//! Admission webhooks.

/// An admission webhook that says no to evictions.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub namespace: String,
    /// Pods whose name begins so.
    pub prefix: String,
    /// 403, 429, 500, or 0 for a timeout; others are 422.
    pub status: u16,
    pub text: String,
}
