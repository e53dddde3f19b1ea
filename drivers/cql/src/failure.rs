//! What an error of the driver's means to the caller: was it carried out, and who can do something about it.

use scylla::errors::{DbError, ExecutionError, NewSessionError, PrepareError, RequestAttemptError};

/// enum pc_status
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Status {
    Ok,
    Unavailable,
    Unknown,
    Full,
    Unauthenticated,
    Denied,
    Exists,
    Invalid,
}

fn of_database(error: &DbError) -> Status {
    match error {
        DbError::SyntaxError | DbError::Invalid | DbError::ConfigError | DbError::FunctionFailure { .. } => Status::Invalid,
        DbError::AlreadyExists { .. } => Status::Exists,
        DbError::AuthenticationError => Status::Unauthenticated,
        DbError::Unauthorized => Status::Denied,
        DbError::Unavailable { .. } | DbError::Overloaded | DbError::IsBootstrapping | DbError::RateLimitReached { .. } => {
            Status::Unavailable
        }
        _ => Status::Unknown,
    }
}

fn of_attempt(error: &RequestAttemptError) -> Status {
    match error {
        RequestAttemptError::DbError(error, _) => of_database(error),
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => Status::Invalid,
        RequestAttemptError::UnableToAllocStreamId => Status::Unavailable,
        _ => Status::Unknown,
    }
}

pub fn of_prepare(error: &PrepareError) -> Status {
    match error {
        PrepareError::ConnectionPoolError(_) => Status::Unavailable,
        PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt),
        _ => Status::Unknown,
    }
}

pub fn of_execution(error: &ExecutionError) -> Status {
    match error {
        ExecutionError::BadQuery(_) | ExecutionError::UseKeyspaceError(_) => Status::Invalid,
        ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => Status::Unavailable,
        ExecutionError::PrepareError(error) => of_prepare(error),
        ExecutionError::LastAttemptError(error) => of_attempt(error),
        _ => Status::Unknown,
    }
}

/// The driver wraps what a node said many layers deep; all of them are in its debug text.
pub fn of_connect(error: &NewSessionError) -> Status {
    let text = format!("{error:?}");
    if text.contains("AuthenticationError") || text.contains("MissingAuthentication") {
        Status::Unauthenticated
    } else if text.contains("Unauthorized") {
        Status::Denied
    } else if matches!(error, NewSessionError::IllegalConfig(_) | NewSessionError::EmptyKnownNodesList) || text.contains("UseKeyspace") {
        Status::Invalid
    } else {
        Status::Unavailable
    }
}

fn text_of_attempt(error: &RequestAttemptError) -> String {
    match error {
        RequestAttemptError::DbError(_, text) => text.clone(),
        _ => error.to_string(),
    }
}

/// What the server said, where it said something: the rest is known.
pub fn text_of_prepare(error: &PrepareError) -> String {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => text_of_attempt(first_attempt),
        _ => error.to_string(),
    }
}

pub fn text_of_execution(error: &ExecutionError) -> String {
    match error {
        ExecutionError::PrepareError(error) => text_of_prepare(error),
        ExecutionError::LastAttemptError(error) => text_of_attempt(error),
        _ => error.to_string(),
    }
}
