//! The handlers, one file a subject.

mod audit;
mod deployment;
mod groups;
mod idpsync;
mod licenses;
mod members;
mod oauth2;
mod organizations;
mod provisioner_keys;
mod proxies;
mod quiet_hours;
mod roles;
mod sessions;
mod template_access;
mod templates;
mod tokens;
mod user_changes;
mod users;

use crate::router::Route;

pub(crate) use sessions::insert_first_user;

/// Every route there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    let tables: [&'static [Route]; 18] = [
        audit::ROUTES,
        deployment::ROUTES,
        groups::ROUTES,
        idpsync::ROUTES,
        licenses::ROUTES,
        members::ROUTES,
        oauth2::ROUTES,
        organizations::ROUTES,
        provisioner_keys::ROUTES,
        proxies::ROUTES,
        quiet_hours::ROUTES,
        roles::ROUTES,
        sessions::ROUTES,
        template_access::ROUTES,
        templates::ROUTES,
        tokens::ROUTES,
        user_changes::ROUTES,
        users::ROUTES,
    ];
    tables.into_iter().flatten()
}
