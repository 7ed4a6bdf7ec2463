//! What is not compared to the letter, with the reason. An exception that is not needed fails the test as well.

use crate::conversation::{Exception, Tolerance};
use crate::recordings::Recording;

pub(crate) const ALL: &[Exception] = &[
    Exception {
        recordings: &[Recording::V2_16_1],
        steps: &[("10", "list groups")],
        tolerance: Tolerance::AnyOrder(&["members"]),
        reason: "members come in the physical order of the user table; here the database has put a written row into a gap at \
                 its beginning instead of at its end, which depends on when it cleaned up",
    },
    Exception {
        recordings: &[Recording::PeopleMain],
        steps: &[("20", "build info")],
        tolerance: Tolerance::Values(&["webpush_public_key"]),
        reason: "a key that each server makes for itself",
    },
    Exception {
        recordings: &[Recording::PeopleMain, Recording::PeopleV2_16_1],
        steps: &[("20", "replicas"), ("30", "without: replicas")],
        tolerance: Tolerance::Values(&["database_latency", "relay_address"]),
        reason: "the time its database took, and where other replicas reach it",
    },
    Exception {
        recordings: &[Recording::PeopleMain],
        steps: &[("21", "claims seen so far")],
        tolerance: Tolerance::AnyOrder(&["body"]),
        reason: "a set of the database",
    },
    Exception {
        recordings: &[Recording::PeopleMain],
        steps: &[
            ("21", "kim's groups"),
            ("21", "all groups"),
            ("21", "made by sign-in: add a member"),
        ],
        tolerance: Tolerance::AnyOrder(&["body", "members"]),
        reason: "groups and members come in the physical order of their tables, and the database puts written rows into gaps that \
                 earlier writes have left, which depends on when it cleaned up",
    },
    Exception {
        recordings: &[Recording::PeopleMain],
        steps: &[
            ("24", "profile: an owner's by useradmin"),
            ("24", "deleted: members afterwards"),
            ("25", "list"),
            ("25", "list by useradmin, who is no member"),
            ("31", "an owner takes the role from another"),
            ("31", "gives the role back"),
        ],
        tolerance: Tolerance::AnyOrder(&["body", "organization_ids"]),
        reason: "memberships come in the physical order of their table, see above",
    },
    Exception {
        recordings: &[Recording::PeopleV2_16_1],
        steps: &[
            ("21", "kim's groups"),
            ("21", "all groups"),
            ("24", "deleted: members afterwards"),
            ("25", "list"),
            ("30", "lee's organizations"),
        ],
        tolerance: Tolerance::AnyOrder(&["body", "members", "organization_ids"]),
        reason: "the same",
    },
    Exception {
        recordings: &[Recording::PeopleMain, Recording::PeopleV2_16_1],
        steps: &[("26", "list"), ("26", "list by plain")],
        tolerance: Tolerance::AnyOrder(&[
            "body",
            "organization_permissions",
            "organization_member_permissions",
            "site_permissions",
        ]),
        reason: "built-in roles and their permissions come out of maps, which Go walks through in a random order",
    },
    Exception {
        recordings: &[Recording::PeopleMain],
        steps: &[
            ("28", "list"),
            ("28", "list by useradmin"),
            ("28", "list by plain"),
            ("30", "without: apps"),
        ],
        tolerance: Tolerance::AnyOrderByChance(&["body"]),
        reason: "apps of one name come in the order of their random ids",
    },
    Exception {
        recordings: &[Recording::Templates],
        steps: &[("template", "read")],
        tolerance: Tolerance::AnyOrderByChance(&["users"]),
        reason: "people come in the order of their random ids",
    },
];
