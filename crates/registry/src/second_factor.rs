//! The second factor: a one-time code of a device that its owner carries (TOTP, RFC 6238).
//!
//! SHA-1, six digits, thirty seconds: what every authenticator application takes. A code of the
//! step before or after counts too (RFC 6238, 5.2), and none counts twice: the newest step that
//! was taken is kept, and only later ones are. The secret is shown once, when it is made.

use catalog::audit::{Event, Outcome};
use catalog::records::micros;
use chrono::{DateTime, Utc};
use pack::Pack;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use store::records::WriteTxn;
use totp_rs::{Builder, Secret, Totp};

use crate::records::{second_factor, user};
use crate::secret::random;
use crate::{Registry, RegistryError};

/// RFC 4226, 4: 160 bits.
const SECRET_BYTES: usize = 20;
const STEP_SECONDS: u64 = 30;
/// Steps before and after the present one whose codes are taken (RFC 6238, 5.2).
const STEPS_AROUND: u16 = 1;
const CODE_DIGITS: u8 = 6;

/// A new device's secret: the only time that it is seen.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Base 32, for typing.
    pub secret: String,
    /// `otpauth://…`, for a QR code.
    pub uri: String,
}

impl Registry {
    /// Makes a secret for a user's device; it counts once a code of it has been shown. Another
    /// that was not confirmed is forgotten.
    pub async fn enrol_second_factor(
        &self,
        name: &str,
        issuer: &str,
        now: DateTime<Utc>,
    ) -> Result<Enrolment, RegistryError> {
        let secret = random::<SECRET_BYTES>()?;
        let row = second_factor::Model {
            user_name: name.to_owned(),
            sealed: self.vault()?.seal(name, &secret)?,
            created_us: micros(now),
            confirmed_us: None,
            last_step: 0,
        };
        let txn = self.records.write().await?;
        match second_factor::Entity::find_by_id(name).one(&*txn).await? {
            Some(old) if old.confirmed_us.is_some() => return Err(RegistryError::HasSecondFactor),
            Some(_) => {
                row.into_active_model().reset_all().update(&*txn).await?;
            }
            None => {
                if user::Entity::find_by_id(name).one(&*txn).await?.is_none() {
                    return Err(RegistryError::UnknownUser(name.to_owned()));
                }
                row.into_active_model().insert(&*txn).await?;
            }
        }
        let event = Event::new(name, "", "second_factor.enrol", name);
        self.audit.append(&txn, event).await?;
        txn.commit().await?;
        let secret = Secret::new_stack(secret).to_base32();
        let uri = uri(issuer, name, &secret);
        Ok(Enrolment { secret, uri })
    }

    /// Takes the first code of a new device: from now on signing in wants one.
    pub async fn confirm_second_factor(
        &self,
        name: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let txn = self.records.write().await?;
        let row = second_factor::Entity::find_by_id(name).one(&*txn).await?;
        let row = row.ok_or(RegistryError::NoSecondFactor)?;
        if row.confirmed_us.is_some() {
            return Err(RegistryError::HasSecondFactor);
        }
        let mut row = self.take(row, code, now)?;
        row.confirmed_us = Some(micros(now));
        row.into_active_model().reset_all().update(&*txn).await?;
        let event = Event::new(name, "", "second_factor.confirm", name);
        self.audit.append(&txn, event).await?;
        self.commit_people(txn).await?;
        Ok(())
    }

    /// Removes one's own, showing a code of it once more. A role that asks for one keeps it.
    pub async fn remove_second_factor(
        &self,
        name: &str,
        code: &str,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        if self.wants_second_factor(&self.user(name).await?.roles, pack) {
            return Err(RegistryError::Duty("a role of yours asks for a second factor".to_owned()));
        }
        let txn = self.records.write().await?;
        let row = second_factor::Entity::find_by_id(name).one(&*txn).await?;
        let row = row.filter(|row| row.confirmed_us.is_some());
        self.take(row.ok_or(RegistryError::NoSecondFactor)?, code, now)?;
        self.drop_second_factor(&txn, name, name).await?;
        self.commit_people(txn).await?;
        Ok(())
    }

    /// Whether the user has a second factor that counts.
    pub async fn has_second_factor(&self, name: &str) -> Result<bool, RegistryError> {
        let row = second_factor::Entity::find_by_id(name).one(self.records.read()).await?;
        Ok(row.is_some_and(|row| row.confirmed_us.is_some()))
    }

    /// Whether one of these roles asks its holders for a second factor.
    pub fn wants_second_factor(&self, roles: &[String], pack: &Pack) -> bool {
        pack.roles.iter().any(|role| role.second_factor && roles.contains(&role.id))
    }

    /// Signing in: whoever has a second factor shows a code of it, and never the same twice.
    pub(crate) async fn check_code(
        &self,
        name: &str,
        code: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        if !self.has_second_factor(name).await? {
            return Ok(());
        }
        let code = code.ok_or(RegistryError::SecondFactor)?;
        // Writers take turns: of two who show the same code at once, one comes too late.
        let txn = self.records.write().await?;
        let row = second_factor::Entity::find_by_id(name).one(&*txn).await?;
        let Some(row) = row.filter(|row| row.confirmed_us.is_some()) else { return Ok(()) };
        let taken = self.take(row, code, now)?;
        taken.into_active_model().reset_all().update(&*txn).await?;
        Ok(txn.commit().await?)
    }

    pub(crate) async fn drop_second_factor(
        &self,
        txn: &WriteTxn,
        by: &str,
        name: &str,
    ) -> Result<(), RegistryError> {
        let gone = second_factor::Entity::delete_by_id(name).exec(&**txn).await?;
        let outcome = if gone.rows_affected > 0 { Outcome::Done } else { Outcome::Failed };
        let event = Event::new(by, "", "second_factor.remove", name).outcome(outcome);
        self.audit.append(txn, event).await?;
        Ok(())
    }

    /// The row with this code's step as its newest, where the code is right and new.
    fn take(
        &self,
        mut row: second_factor::Model,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<second_factor::Model, RegistryError> {
        let secret = self.vault()?.open(&row.user_name, &row.sealed)?;
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let step = totp(&secret)?.check(&code, seconds);
        let step = step.and_then(|step| i64::try_from(step).ok());
        row.last_step =
            step.filter(|step| *step > row.last_step).ok_or(RegistryError::SecondFactor)?;
        Ok(row)
    }
}

fn totp(secret: &[u8]) -> Result<Totp, RegistryError> {
    Builder::new()
        .with_digits(CODE_DIGITS)
        .with_skew(STEPS_AROUND)
        .with_step_duration(STEP_SECONDS)
        .with_secret(secret.to_vec())
        .build()
        .map_err(|cause| RegistryError::Hashing(cause.to_string()))
}

/// The Key URI that authenticator applications read.
fn uri(issuer: &str, name: &str, secret: &str) -> String {
    let (issuer, name) = (percent(issuer), percent(name));
    format!(
        "otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}&algorithm=SHA1\
         &digits={CODE_DIGITS}&period={STEP_SECONDS}"
    )
}

/// RFC 3986: all but the unreserved characters.
fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1; its eight digits end in these six.
        let secret = b"12345678901234567890";
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            assert_eq!(totp(secret).unwrap().check(code, seconds), Some(seconds / STEP_SECONDS));
        }
        let at = 1_111_111_109;
        assert!(totp(secret).unwrap().check("081804", at + STEP_SECONDS).is_some(), "one late");
        assert_eq!(totp(secret).unwrap().check("081804", at + 3 * STEP_SECONDS), None);
    }

    #[test]
    fn an_application_reads_the_uri() {
        let uri = uri("Shujin 成都", "lin@x", "ABC");
        assert!(
            uri.starts_with(
                "otpauth://totp/Shujin%20%E6%88%90%E9%83%BD:lin%40x?secret=ABC&issuer=Shujin%20"
            ),
            "{uri}"
        );
    }
}
