//! Why an act could not be done.

use junban_world::ApiError;

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("the API server says {0}")]
    Api(#[from] ApiError),
    /// The `junban` command refuses, and changes nothing.
    #[error("the command refuses: {0}")]
    Refused(String),
    #[error("{0}")]
    Other(String),
}

pub(super) type Done = Result<(), PeopleError>;
