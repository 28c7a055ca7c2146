//! Admission webhooks for evictions.

#[derive(Debug, Clone)]
pub struct Webhook {
    pub namespace: String,
    /// The webhook denies pods whose name begins with this.
    pub prefix: String,
    /// 403, 429, 500, or 0 for a timeout; any other number answers 422.
    pub status: u16,
    pub text: String,
}
