//! The server's clock, which a test can shift, and the two ways the services write a time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time as the emulated services see it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    shift: AtomicI64,
}

impl Clock {
    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.read().0
    }

    /// The same to the microsecond: two changes that follow each other differ by it.
    pub(crate) fn precise(&self) -> f64 {
        let (seconds, micros) = self.read();
        seconds as f64 + f64::from(micros) / 1e6
    }

    fn read(&self) -> (i64, u32) {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(real.as_secs()).unwrap_or(i64::MAX);
        (seconds.saturating_add(self.shift.load(Ordering::SeqCst)), real.subsec_micros())
    }

    pub(crate) fn set_shift(&self, seconds: i64) {
        self.shift.store(seconds, Ordering::SeqCst);
    }
}

/// Year, month, day, hour, minute, second.
pub(crate) fn civil(seconds: i64) -> (i64, u8, u8, u8, u8, u8) {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date of the Gregorian calendar, in eras of 400 years that start on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u8::try_from(value).unwrap_or(0);
    (year, small(month), small(day), small(rest / 3_600), small(rest % 3_600 / 60), small(rest % 60))
}

/// `20150830T123600Z`, as in `X-Amz-Date`.
pub(crate) fn basic(seconds: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(seconds);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `2015-08-30T12:36:00Z`.
pub(crate) fn extended(seconds: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2015-08-30T12:36:00.250000Z`: a Timestamp in Google's JSON.
pub(crate) fn timestamp(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "times of our era")]
    let (whole, micros) = (seconds.floor() as i64, (seconds.fract() * 1e6) as i64);
    let text = extended(whole);
    format!("{}.{micros:06}Z", text.trim_end_matches('Z'))
}

/// `Sun, 30 Aug 2015 12:36:00 GMT`, as in the `Date` header.
pub(crate) fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = civil(seconds);
    let weekday =
        usize::try_from(seconds.div_euclid(86_400).rem_euclid(7)).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"Thu");
    let month = MONTHS.get(usize::from(month).saturating_sub(1)).unwrap_or(&"Jan");
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Reads `20150830T123600Z`.
pub(crate) fn parse_basic(text: &str) -> Option<i64> {
    if text.len() != 16 || text.get(8..9) != Some("T") || !text.ends_with('Z') {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i64>().ok());
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        assert_eq!(basic(1_440_938_160), "20150830T123600Z");
        assert_eq!(http_date(1_440_938_160), "Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(extended(951_782_400), "2000-02-29T00:00:00Z");
        for seconds in [0, 951_782_399, 951_868_800, 1_440_938_160, 4_102_444_799] {
            assert_eq!(parse_basic(&basic(seconds)), Some(seconds));
        }
        assert_eq!(parse_basic("2015-08-30T12:36"), None);
    }
}
