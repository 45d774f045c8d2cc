//! The proleptic Gregorian calendar, in whole days and seconds since 1970-01-01.

/// A moment as the clock's registers name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: u8,
    /// 1 to 31.
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

pub(super) const DAY: i64 = 86_400;

/// Days before each month of a year that starts in March.
const fn days_before(month_from_march: i64) -> i64 {
    (153 * month_from_march + 2) / 5
}

/// Days since 1970-01-01 of the first of a month.
const fn first_of(year: i64, month: i64) -> i64 {
    // Years start in March so that the leap day is a year's last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + days_before((month + 9) % 12) - 719_468
}

impl Civil {
    /// Seconds since 1970-01-01. Numbers beyond their range carry over.
    pub(super) fn seconds(self) -> i64 {
        let month = i64::from(self.month.clamp(1, 12));
        let days = first_of(self.year, month) + i64::from(self.day.max(1)) - 1;
        days * DAY + i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    pub(super) fn from_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY) + 719_468;
        let of_day = seconds.rem_euclid(DAY);
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (of_year - days_before(from_march) + 1) as u8,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
        }
    }
}

/// Day of the week of a number of seconds since 1970: 1 is Sunday.
pub(super) const fn weekday(seconds: i64) -> u8 {
    ((seconds.div_euclid(DAY) + 4).rem_euclid(7) + 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_for_eight_centuries() {
        let (mut year, mut month, mut day) = (1600, 1, 1);
        for n in 0..292_194 {
            let seconds = -11_676_096_000 + n * DAY + 3_723;
            let civil = Civil::from_seconds(seconds);
            assert_eq!(civil, Civil { year, month, day, hour: 1, minute: 2, second: 3 });
            assert_eq!(civil.seconds(), seconds);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u8::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!(weekday(0), 5, "1970 began on a Thursday");
    }
}
