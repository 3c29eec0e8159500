//! How long a certificate is valid, and its serial number.

use crate::failure::{Failure, Outcome};
use aws_lc_rs::rand;
use clap::Args;
use der::DateTime;
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

/// When a certificate becomes valid, for how long, and its number.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Contents")]
pub struct ValidityArguments {
    /// For how many days the certificate is valid [default: 365]
    #[arg(long)]
    pub days: Option<u32>,
    /// When the certificate becomes valid: 2026-01-31 or 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<Moment>,
    /// The serial number in hexadecimal [default: a random one]
    #[arg(long)]
    pub serial: Option<Serial>,
}

/// A point in time, in RFC 3339's form in UTC; a date is its midnight.
#[derive(Clone, Copy, Debug)]
pub struct Moment(DateTime);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
        DateTime::from_str(&whole).map(Self).map_err(|_| "write 2026-01-31 or 2026-01-31T12:00:00Z (UTC)".into())
    }
}

/// A serial number, from hexadecimal digits.
#[derive(Clone, Debug)]
pub struct Serial(SerialNumber);

impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|digit| *digit != ':')
            .map(|digit| digit.to_digit(16).map(|value| value as u8))
            .collect::<Option<_>>()
            .ok_or("write hexadecimal digits")?;
        let bytes: Vec<u8> =
            digits.rchunks(2).rev().map(|pair| pair.iter().fold(0, |all, own| all << 4 | own)).collect();
        if bytes.iter().all(|byte| *byte == 0) {
            return Err("a serial number is greater than zero".into());
        }
        SerialNumber::new(&bytes).map(Self).map_err(|_| "a serial number has 20 bytes at most".into())
    }
}

/// The default of `--days`.
const DAYS: u32 = 365;

impl ValidityArguments {
    /// Returns these arguments, completed from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            days: self.days.or(other.days),
            not_before: self.not_before.or(other.not_before),
            serial: self.serial.or(other.serial),
        }
    }

    /// Returns the serial number: the given one, or 16 random bytes.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn serial_number(&self) -> Outcome<SerialNumber> {
        if let Some(serial) = &self.serial {
            return Ok(serial.0.clone());
        }
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| Failure::new("the system has no random bytes"))?;
        SerialNumber::new(&bytes).map_err(|error| Failure::new(error.to_string()))
    }

    /// Returns the validity. It ends with that of the issuer, if `issuer_end` is given.
    ///
    /// # Errors
    /// If the certificate would outlive its issuer, or end after the year 9999.
    pub fn validity(&self, issuer_end: Option<Time>) -> Outcome<Validity> {
        let start = self.not_before.map_or_else(SystemTime::now, |moment| moment.0.to_system_time());
        let length = Duration::from_secs(u64::from(self.days.unwrap_or(DAYS)) * 86_400);
        let end = start.checked_add(length).and_then(|end| Time::try_from(end).ok());
        let (Ok(start), Some(mut end)) = (Time::try_from(start), end) else {
            return Err(Failure::new("the certificate would be valid after the year 9999").fix("choose fewer --days"));
        };
        if let Some(last) = issuer_end.filter(|last| last.to_unix_duration() < end.to_unix_duration()) {
            if self.days.is_some() || start.to_unix_duration() >= last.to_unix_duration() {
                let message =
                    format!("the certificate would be valid until {end}, but the certificate of the CA ends at {last}");
                return Err(Failure::new(message).fix("choose fewer --days, or renew the certificate of the CA"));
            }
            end = last;
        }
        Ok(Validity::new(start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_does_not_outlive_its_issuer() {
        let of = |days| ValidityArguments { days, not_before: Some("2026-01-01".parse().unwrap()), serial: None };
        let end = Time::from_str("2026-03-01T00:00:00Z").unwrap();
        for days in [None, Some(59)] {
            assert_eq!(of(days).validity(Some(end)).unwrap().not_after, end);
        }
        assert!(of(Some(60)).validity(Some(end)).is_err());
        assert!(of(Some(u32::MAX)).validity(None).is_err());
    }

    #[test]
    fn a_serial_number_is_hexadecimal() {
        let bytes = |text: &str| Serial::from_str(text).map(|serial| serial.0.as_bytes().to_vec());
        assert_eq!(bytes("1:0a:ff"), Ok(vec![1, 0x0a, 0xff]));
        assert_eq!(bytes("123"), Ok(vec![1, 0x23]));
        for wrong in ["", "0", "x1", &"7f".repeat(21)] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        let random = || ValidityArguments::default().serial_number().unwrap();
        assert_ne!(random(), random());
    }
}
