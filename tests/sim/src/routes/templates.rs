//! Templates, without what builds them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Call, Route};
use crate::state::{Template, audited_template};
use crate::validate::{self, Checks};

const IN_ORGANIZATION: &str = "/api/v2/organizations/{organization}/templates";
const TEMPLATE: &str = "/api/v2/templates/{template}";

pub(super) static ROUTES: &[Route] = &[
    Route::get(IN_ORGANIZATION, list),
    Route::post(IN_ORGANIZATION, create),
    Route::get(
        "/api/v2/organizations/{organization}/templates/{templatename}",
        get_by_name,
    ),
    Route::get(TEMPLATE, get),
    Route::patch(TEMPLATE, patch),
    Route::delete(TEMPLATE, delete),
];

fn readable(call: &Call<'_>, template: &Template) -> bool {
    !template.deleted
        && (call.rights.template_read(template.organization_id)
            || call.state.has_role(&call.rights, template, &["use", "admin"]))
}

/// The template in the path, if the caller may read it.
pub(super) fn in_path(call: &Call<'_>) -> Result<Template, Answer> {
    let found = call.state.templates.get(&call.uuid("template")?);
    found
        .filter(|template| readable(call, template))
        .cloned()
        .ok_or_else(Answer::not_found)
}

/// Whether the caller may change a template and see who may use it.
pub(super) fn writable(call: &Call<'_>, template: &Template) -> Result<(), Answer> {
    if call.rights.template_write(template.organization_id) || call.state.has_role(&call.rights, template, &["admin"]) {
        return Ok(());
    }
    Err(Answer::not_found())
}

/// Newer servers leave deprecated ones out unless they are asked for.
fn list(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let query = call.query("q").unwrap_or_default().to_lowercase();
    let deprecated = query.split_whitespace().find_map(|term| match term {
        "deprecated:true" => Some(true),
        "deprecated:false" => Some(false),
        _ => None,
    });
    let deprecated = deprecated.or_else(|| call.state.traits().deprecated_templates_hidden.then_some(false));
    let shown = call.state.templates_of(organization).into_iter();
    let shown: Vec<Template> = shown
        .filter(|template| readable(call, template))
        .filter(|template| deprecated.is_none_or(|wanted| wanted != template.deprecation_message.is_empty()))
        .cloned()
        .collect();
    let shown: Vec<Value> = shown
        .iter()
        .map(|template| call.state.template_json(template))
        .collect();
    Ok(Answer::json(200, &shown))
}

fn get(call: &mut Call<'_>) -> Outcome {
    let template = in_path(call)?;
    Ok(Answer::json(200, &call.state.template_json(&template)))
}

fn get_by_name(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let found = call.state.template_by_name(organization, call.param("templatename"));
    let template = found.filter(|template| readable(call, template)).cloned();
    let template = template.ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, &call.state.template_json(&template)))
}

fn create(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let fields = call.fields("CreateTemplateRequest")?;
    let (name, version) = (fields.string("name")?, fields.uuid("template_version_id")?);
    Checks::new()
        .required_tag("name", "template_name", &name, validate::name)
        .done()?;
    let closed = fields.boolean("disable_everyone_group_access")?;
    if !call.rights.template_write(organization) {
        return Err(Answer::not_found());
    }
    if call.state.template_by_name(organization, &name).is_some() {
        return Err(taken(&name));
    }
    let id = call.state.insert_template(organization, &name, version, call.me);
    if closed {
        call.state.edit_template(id, |template| template.groups.clear());
    }
    call.created("template", id);
    let template = call.state.templates.get(&id).cloned().ok_or_else(Answer::not_found)?;
    let note = Note::new("template", "create", id, &name).within(organization);
    call.note = Some(note.after(audited_template(&template)));
    Ok(Answer::json(201, &call.state.template_json(&template)))
}

fn taken(name: &str) -> Answer {
    Answer::json(
        409,
        &json!({
            "message": format!("Template with name {name:?} already exists."),
            "validations": [{ "field": "name", "detail": "This value is already in use and should be unique." }],
        }),
    )
}

fn patch(call: &mut Call<'_>) -> Outcome {
    let template = in_path(call)?;
    let id = template.id;
    note(call, "write", &template);
    let fields = call.fields("UpdateTemplateMeta")?;
    let name = fields.opt_string("name")?.filter(|name| !name.is_empty());
    let texts = [
        fields.opt_string("display_name")?,
        fields.opt_string("description")?,
        fields.opt_string("icon")?,
        fields.opt_string("deprecation_message")?,
    ];
    let closed = fields.boolean("disable_everyone_group_access")?;
    if let Some(name) = &name {
        Checks::new()
            .required_tag("name", "template_name", name, validate::name)
            .done()?;
    }
    writable(call, &template)?;
    if let Some(name) = &name
        && call
            .state
            .template_by_name(template.organization_id, name)
            .is_some_and(|other| other.id != id)
    {
        return Err(taken(name));
    }
    call.state.edit_template(id, |template| {
        template.name = name.unwrap_or(std::mem::take(&mut template.name));
        let own = [
            &mut template.display_name,
            &mut template.description,
            &mut template.icon,
            &mut template.deprecation_message,
        ];
        for (field, text) in own.into_iter().zip(texts) {
            if let Some(text) = text {
                *field = text;
            }
        }
        if closed {
            template.groups.remove(&template.organization_id);
        }
    });
    call.updated("template", id);
    noted(call, id);
    let template = call.state.templates.get(&id).cloned().ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, &call.state.template_json(&template)))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let template = in_path(call)?;
    note(call, "delete", &template);
    writable(call, &template)?;
    call.state
        .edit_template(template.id, |template| template.deleted = true);
    call.deleted("template", template.id);
    Ok(Answer::message(200, "Template has been deleted!"))
}

/// Notes what a template was.
pub(super) fn note(call: &mut Call<'_>, action: &'static str, template: &Template) {
    let note = Note::new("template", action, template.id, &template.name).within(template.organization_id);
    call.note = Some(note.before(audited_template(template)));
}

/// Notes what it is now.
pub(super) fn noted(call: &mut Call<'_>, id: Uuid) {
    if let Some(template) = call.state.templates.get(&id) {
        call.noted_after(audited_template(template));
    }
}
