//! Quiet hours of users.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Call, Gate, Route};
use crate::state::audited_user;
use crate::validate::Checks;

const QUIET_HOURS: &str = "/api/v2/users/{user}/quiet-hours";
const GATE: Gate = Gate::First("advanced_template_scheduling");
const DEFAULT: &str = "CRON_TZ=UTC 0 0 * * *";

pub(super) static ROUTES: &[Route] = &[
    Route::get(QUIET_HOURS, get).gate(GATE),
    Route::put(QUIET_HOURS, put).gate(GATE),
];

fn get(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let body = match &user.quiet_hours {
        Some(own) => answer(call, own, true),
        None => answer(call, DEFAULT, false),
    };
    Ok(Answer::json(200, &body))
}

fn put(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let id = user.id;
    call.note = Some(Note::new("user", "write", id, &user.username).before(audited_user(user)));
    let schedule = call.fields("UpdateUserQuietHoursScheduleRequest")?.string("schedule")?;
    Checks::new().required("schedule", &schedule).done()?;
    if id != call.me && !call.rights.user_write() {
        return Err(Answer::not_found());
    }
    // The handler does not expect a bad schedule: an internal error (recording 08).
    let normal = parse(&schedule).map_err(Answer::internal)?.raw;
    let body = answer(call, &normal, true);
    // The user's `updated_at` stays (recordings 08 and 10).
    call.state.edit_user(id, |user| user.quiet_hours = Some(normal));
    call.updated("quiet_hours", id);
    // What the user is afterwards is never noted: all of it reads as gone (recording 24).
    call.noted_after(crate::audit::Fields::new());
    Ok(Answer::json(200, &body))
}

struct Daily {
    zone: String,
    hour: i8,
    minute: i8,
    /// As it is stored: with a zone, and single spaces.
    raw: String,
}

/// The schedule, or what the server says is wrong with it.
fn parse(schedule: &str) -> Result<Daily, String> {
    let invalid = |problem: &str| {
        Err(format!(
            "parse daily schedule {schedule:?}: validate daily schedule: {problem}"
        ))
    };
    let (zone, fields) = match schedule.strip_prefix("CRON_TZ=").and_then(|rest| rest.split_once(' ')) {
        Some((zone, fields)) => (zone, fields),
        None => ("UTC", schedule),
    };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [minute, hour, rest @ ..] = fields.as_slice() else {
        return invalid("expected schedule to consist of 5 fields with an optional CRON_TZ=<timezone> prefix");
    };
    if rest.len() != 3 {
        return invalid("expected schedule to consist of 5 fields with an optional CRON_TZ=<timezone> prefix");
    }
    if rest != ["*", "*", "*"] {
        return invalid("expected day-of-month, month and day-of-week to be *");
    }
    if TimeZone::get(zone).is_err() {
        return Err(format!(
            "parse daily schedule {schedule:?}: parse schedule: provided bad location {zone}: unknown time zone {zone}"
        ));
    }
    let number = |text: &str, below: i8| text.parse().ok().filter(|number| (0..below).contains(number));
    let (Some(hour_number), Some(minute_number)) = (number(hour, 24), number(minute, 60)) else {
        return Err(format!(
            "daily schedule {schedule:?} has more than one time: cron({minute} {hour})"
        ));
    };
    Ok(Daily {
        raw: format!("CRON_TZ={zone} {minute} {hour} * * *"),
        zone: zone.to_owned(),
        hour: hour_number,
        minute: minute_number,
    })
}

fn answer(call: &Call<'_>, raw: &str, user_set: bool) -> Value {
    let Ok(daily) = parse(raw) else { return Value::Null };
    let now = call
        .state
        .now()
        .to_zoned(TimeZone::get(&daily.zone).unwrap_or(TimeZone::UTC));
    let next = Time::new(daily.hour, daily.minute, 0, 0)
        .ok()
        .and_then(|at| next_after(&now, at));
    json!({
        "raw_schedule": raw,
        "user_set": user_set,
        "user_can_set": true,
        "time": format!("{:02}:{:02}", daily.hour, daily.minute),
        "timezone": daily.zone,
        "next": next.map(|next| rfc3339(&next)),
    })
}

fn next_after(now: &Zoned, at: Time) -> Option<Zoned> {
    let today = now.date().to_datetime(at).to_zoned(now.time_zone().clone()).ok()?;
    if today > *now {
        Some(today)
    } else {
        today.checked_add(1.day()).ok()
    }
}

fn rfc3339(at: &Zoned) -> String {
    if at.offset().is_zero() {
        return at.timestamp().to_string();
    }
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
