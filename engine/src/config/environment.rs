//! Settings by variables of the environment: `PORTCULLIS_SECTION__FIELD`, and the names that are usual elsewhere.

const PREFIX: &str = "PORTCULLIS_";

/// Where a variable that other programs know as well is laid.
fn usual(variable: &str) -> Option<&'static str> {
    match variable {
        "DATABASE_URL" => Some("data__database_url"),
        "REDIS_URL" => Some("state__redis_url"),
        _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one home of the environment")]
pub(super) fn environment() -> Vec<(String, String)> {
    // Two underscores are what tells a setting from other variables with this prefix.
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| {
            usual(name).is_some() || name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__"))
        })
        .collect();
    // The usual names first: our own win.
    variables.sort_by_key(|(name, _)| (usual(name).is_none(), name.clone()));
    variables
}

/// How often a generated test repeats: in a soak run in full.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "this is the one home of the environment")]
pub fn soak(reduced: u32, full: u32) -> u32 {
    if std::env::var_os("PORTCULLIS_SOAK").is_some_and(|value| value == "1") { full } else { reduced }
}

pub(super) fn lay_over(table: &mut toml::Table, variable: &str, value: &str) -> Result<(), String> {
    let path = match usual(variable) {
        Some(path) => path.to_owned(),
        None => variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase(),
    };
    let names: Vec<&str> = path.split("__").collect();
    let Some((last, sections)) = names.split_last() else { return Err("names no field".into()) };
    let mut table = table;
    for section in sections {
        let entry = table.entry(*section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = entry.as_table_mut().ok_or_else(|| format!("`{section}` is not a section"))?;
    }
    let text = usual(variable).map(|_| toml::Value::String(value.to_owned()));
    table.insert((*last).to_owned(), text.unwrap_or_else(|| read_value(value)));
    Ok(())
}

/// A number, a boolean or a list as TOML has them; anything else is text.
fn read_value(value: &str) -> toml::Value {
    let parsed: Option<toml::Table> = toml::from_str(&format!("value = {value}")).ok();
    let parsed = parsed.and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()))
}
