//! When to record.

use std::fmt;
use std::str::FromStr;

use jiff::Zoned;
use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Days and hours in local time: "Mon-Fri 07:00-19:00", "Sat 22:00-06:00" (into Sunday), "08:00-12:00" (every day).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    days: [bool; 7],
    from: Time,
    to: Time,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Schedule {
    /// True when `now` lies in it.
    pub fn covers(&self, now: &Zoned) -> bool {
        let day = |weekday: Weekday| self.days[weekday.to_monday_zero_offset() as usize];
        let (time, today) = (now.time(), now.date().weekday());
        if self.from < self.to {
            return day(today) && time >= self.from && time < self.to;
        }
        // Over midnight: the evening belongs to today, the morning to yesterday.
        (day(today) && time >= self.from) || (day(today.previous()) && time < self.to)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time such as \"Mon-Fri 07:00-19:00\"");
        let (days, hours) = match text.trim().rsplit_once(' ') {
            Some((days, hours)) => (days.trim(), hours),
            None => ("Mon-Sun", text.trim()),
        };
        let number = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        let mut chosen = [false; 7];
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = number(first.trim()).ok_or_else(wrong)?;
            let last = number(last.trim()).ok_or_else(wrong)?;
            let count = (last + 7 - first) % 7;
            for step in 0..=count {
                chosen[(first + step) % 7] = true;
            }
        }
        let time = |text: &str| -> Option<Time> {
            let (hour, minute) = text.split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let from = time(from).ok_or_else(wrong)?;
        let to = if to == "24:00" {
            Time::midnight()
        } else {
            time(to).ok_or_else(wrong)?
        };
        Ok(Self {
            text: text.to_owned(),
            days: chosen,
            from,
            to,
        })
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn hours_of_days_and_over_midnight() {
        let at = |day: i8, hour: i8| {
            date(2026, 11, day)
                .at(hour, 30, 0, 0)
                .to_zoned(TimeZone::UTC)
                .unwrap()
        };
        // 23 November 2026 is a Monday.
        let office: Schedule = "Mon-Fri 07:00-19:00".parse().unwrap();
        assert!(office.covers(&at(23, 7)) && office.covers(&at(27, 18)));
        assert!(
            !office.covers(&at(23, 6))
                && !office.covers(&at(23, 19))
                && !office.covers(&at(28, 12))
        );
        let night: Schedule = "Fri-Sat 22:00-06:00".parse().unwrap();
        assert!(night.covers(&at(27, 23)) && night.covers(&at(28, 5)) && night.covers(&at(29, 5)));
        assert!(!night.covers(&at(27, 5)) && !night.covers(&at(29, 23)));
        let daily: Schedule = "08:00-24:00".parse().unwrap();
        assert!(daily.covers(&at(29, 23)) && !daily.covers(&at(29, 7)));
        for wrong in ["", "Mon", "Foo 07:00-19:00", "Mon 7-19", "Mon 07:00-25:00"] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong:?}");
        }
    }
}
