//! The table of the chart's values, from the comments in `values.yaml`.

use serde_json::Value;

/// A row for each value with a comment that begins with `--`, in the order of the file.
pub(crate) fn table(yaml: &str) -> String {
    let values: Value = serde_yaml::from_str(yaml).unwrap();
    let mut rows = vec!["| value | default | |".to_owned(), "|---|---|---|".to_owned()];
    rows.extend(described(yaml).into_iter().map(|(path, description)| {
        let default = path.split('.').fold(&values, |value, key| &value[key]);
        format!("| `{path}` | {} | {description} |", shown(default))
    }));
    rows.join("\n") + "\n"
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) if value.to_string().len() > 60 => "see `values.yaml`".to_owned(),
        other => format!("`{other}`"),
    }
}

/// Path and description of each value.
fn described(yaml: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut description: Option<String> = None;
    for line in yaml.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(comment) = text.strip_prefix('#') {
            let comment = comment.trim();
            if let Some(begun) = comment.strip_prefix("-- ") {
                description = Some(begun.to_owned());
            } else if let Some(description) = &mut description {
                description.push(' ');
                description.push_str(comment);
            }
            continue;
        }
        let key = text.split_once(':').map(|(key, _)| key);
        let Some(key) = key.filter(|key| !key.is_empty() && key.chars().all(char::is_alphanumeric)) else {
            continue;
        };
        parents.retain(|(at, _)| *at < indent);
        parents.push((indent, key.to_owned()));
        if let Some(description) = description.take() {
            let path: Vec<&str> = parents.iter().map(|(_, key)| key.as_str()).collect();
            found.push((path.join("."), description.replace('|', "\\|")));
        }
    }
    found
}

/// The paths of all values that the schema speaks of one by one.
fn paths(schema: &Value, prefix: &str) -> Vec<String> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .flat_map(|(name, schema)| {
            let path = format!("{prefix}{name}");
            match schema["properties"] {
                Value::Object(_) => paths(schema, &format!("{path}.")),
                _ => vec![path],
            }
        })
        .collect()
}

#[test]
fn values_schema_and_descriptions_name_the_same() {
    let read = |name: &str| crate::read(&format!("{}/{name}", crate::CHART));
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut expected = paths(&schema, "");
    // What Helm passes to every chart.
    expected.retain(|path| path != "global");
    expected.sort();
    let mut described: Vec<String> = described(&read("values.yaml"))
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    described.sort();
    assert_eq!(described, expected);
    let values: Value = serde_yaml::from_str(&read("values.yaml")).unwrap();
    for path in expected {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(values.pointer(&pointer).is_some(), "{path} has no default");
    }
}
