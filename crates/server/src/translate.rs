//! Errors of the house as faults: one place that says which of them its asker may read, and which
//! are ours alone.

use catalog::SqlError;
use catalog::audit::AuditError;
use catalog::corrections::CorrectionError;
use catalog::procedure::StepError;
use catalog::saved::SavedError;
use catalog::scenario::ScenarioError;
use catalog::sharing::SharingError;
use catalog::sql::LimitKind;
use registry::RegistryError;

use crate::fault::{Code, Fault, Position};

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Refused { reason } => Self::new(Code::Refused, reason),
            SqlError::NotFound { .. } => Self::new(Code::NotFound, error.to_string()),
            SqlError::Syntax { line, column, message } => {
                let position = (line > 0).then_some(Position { line, column });
                Self::new(Code::Syntax, message).at(position)
            }
            // The planner tells an unknown column by its words alone.
            SqlError::Invalid { reason } if reason.contains("No field named") => {
                Self::new(Code::ColumnNotFound, reason)
            }
            SqlError::Invalid { reason } => Self::new(Code::Invalid, reason),
            SqlError::Limit { what, .. } => {
                let code = match what {
                    LimitKind::Memory => Code::Memory,
                    LimitKind::Concurrency => Code::Busy,
                    LimitKind::Time => Code::Timeout,
                    _ => Code::TooLarge,
                };
                Self::new(code, error.to_string())
            }
            SqlError::Internal { correlation_id, .. } => {
                let mut fault = Self::new(Code::Internal, "the query failed while it ran");
                fault.correlation = correlation_id;
                fault
            }
        }
    }
}

impl From<RegistryError> for Fault {
    fn from(error: RegistryError) -> Self {
        let code = match &error {
            RegistryError::NotAuthentic | RegistryError::Disabled(_) => Code::Unauthenticated,
            RegistryError::SecondFactor => Code::SecondFactor,
            RegistryError::HasSecondFactor | RegistryError::NoSecondFactor => Code::Conflict,
            RegistryError::Duty(_) => Code::Refused,
            RegistryError::Busy => Code::Busy,
            RegistryError::UnknownUser(_)
            | RegistryError::UnknownToken(_)
            | RegistryError::UnknownSession(_)
            | RegistryError::UnknownOrganisation(_)
            | RegistryError::UnknownArea(_)
            | RegistryError::UnknownRow(_) => Code::NotFound,
            RegistryError::UserExists(_)
            | RegistryError::RowExists { .. }
            | RegistryError::Stale { .. }
            | RegistryError::Newer(_) => Code::Conflict,
            RegistryError::Input { .. } => Code::Invalid,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<StepError> for Fault {
    fn from(error: StepError) -> Self {
        let code = match &error {
            StepError::NotFromHere { .. } => Code::Conflict,
            StepError::NotYou { .. } | StepError::NoPermission { .. } => Code::Refused,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AuditError> for Fault {
    fn from(error: AuditError) -> Self {
        Self::internal(error)
    }
}

impl From<SharingError> for Fault {
    fn from(error: SharingError) -> Self {
        let code = match error {
            SharingError::Step(step) => return step.into(),
            SharingError::UnknownDataset(_) | SharingError::UnknownRequest(_) => Code::NotFound,
            SharingError::NotShared { .. } => Code::Refused,
            SharingError::OwnDataset(_) => Code::Conflict,
            SharingError::Terms { .. } | SharingError::Cursor(_) => Code::Invalid,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<CorrectionError> for Fault {
    fn from(error: CorrectionError) -> Self {
        let code = match error {
            CorrectionError::Step(step) => return step.into(),
            CorrectionError::UnknownDataset(_) | CorrectionError::Unknown(_) => Code::NotFound,
            CorrectionError::Claim { .. } => Code::Invalid,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<SavedError> for Fault {
    fn from(error: SavedError) -> Self {
        let code = match error {
            SavedError::Unknown(_) => Code::NotFound,
            SavedError::NotYours { .. } => Code::Refused,
            SavedError::Bad { .. } => Code::Invalid,
            SavedError::TooMany => Code::TooLarge,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<ScenarioError> for Fault {
    fn from(error: ScenarioError) -> Self {
        let code = match error {
            ScenarioError::Sql(error) => return error.into(),
            ScenarioError::Unknown(_) => Code::NotFound,
            ScenarioError::Taken(_) => Code::Conflict,
            ScenarioError::NoPermission { .. } | ScenarioError::NotYours { .. } => Code::Refused,
            ScenarioError::Bad(_) | ScenarioError::Row { .. } => Code::Invalid,
            ScenarioError::TooMany => Code::TooLarge,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}
