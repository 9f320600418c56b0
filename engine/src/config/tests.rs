//! What is wrong with a configuration is named, with its place.

use secrecy::ExposeSecret;

use super::*;

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(&"portcullis.toml".into(), text, variables)
}

fn message(text: &str) -> String {
    parse(text, &[]).unwrap_err().to_string()
}

#[test]
fn an_unknown_field_is_named_with_its_line() {
    let message = message("[server]\nlisten = \"127.0.0.1:1\"\nlisen = 1\n");
    assert!(message.starts_with("portcullis.toml:3:1: "), "{message}");
    assert!(message.contains("lisen"), "{message}");
}

#[test]
fn a_bad_value_is_named_with_its_line_and_field() {
    let message = message("[limits]\nbody_bytes = \"many\"\n");
    assert!(message.starts_with("portcullis.toml:2:14: `limits.body_bytes`"), "{message}");
}

#[test]
fn a_value_that_no_field_can_have_is_named_with_its_line() {
    let message = message("[server]\nworkers = 2\n[limits]\nnesting = 500\n");
    assert!(message.starts_with("portcullis.toml:4:1: `limits.nesting` must be at most 128"), "{message}");
    let error = parse("", &[("PORTCULLIS_LIMITS__NESTING", "0")]).unwrap_err().to_string();
    assert_eq!(error, "`limits.nesting` must be at least 1");
    let error = parse("", &[("PORTCULLIS_SERVER__LISTEN", "nowhere")]).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    assert!(message("[server\n").starts_with("portcullis.toml:1:"), "{}", message("[server\n"));
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = [
        ("PORTCULLIS_SERVER__WORKERS", "1"),
        ("PORTCULLIS_SERVER__LISTEN", "127.0.0.1:0"),
        ("PORTCULLIS_DECISION_LOG__MODE", "gap"),
    ];
    let config = parse("[server]\nworkers = 7\n", &variables).unwrap();
    assert_eq!(config.server.workers, Some(1));
    assert_eq!(config.server.listen.port(), 0);
    assert_eq!(config.decision_log.mode, LogMode::Gap);
}

#[test]
fn the_usual_names_of_urls_count_and_ours_win() {
    let variables = [("DATABASE_URL", "postgres://a"), ("REDIS_URL", "redis://b")];
    let config = parse("[data]\ndatabase_url = \"postgres://c\"", &variables).unwrap();
    let shown = |url: Option<SecretString>| url.map(|url| url.expose_secret().to_owned());
    assert_eq!(shown(config.data.database_url.clone()).as_deref(), Some("postgres://a"));
    assert_eq!(shown(config.state.redis_url.clone()).as_deref(), Some("redis://b"));
    assert!(!format!("{config:?}").contains("postgres://a"), "{config:?}");
    let ours = [("DATABASE_URL", "postgres://a"), ("PORTCULLIS_DATA__DATABASE_URL", "postgres://d")];
    assert_eq!(shown(parse("", &ours).unwrap().data.database_url).as_deref(), Some("postgres://d"));
}

#[test]
fn a_wrong_variable_is_named() {
    let error = parse("", &[("PORTCULLIS_SERVER__LISEN", "x")]).unwrap_err().to_string();
    assert!(error.starts_with("PORTCULLIS_SERVER__LISEN: "), "{error}");
}

#[test]
fn localhost_is_the_loopback_and_no_other_name_is_resolved() {
    assert_eq!(parse_address("localhost:0").unwrap().to_string(), "127.0.0.1:0");
    assert!(parse_address("[::1]:80").is_ok());
    for wrong in ["localhost", "example.com:80", "127.0.0.1", ":80", "localhost:99999"] {
        assert!(parse_address(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn nothing_at_all_is_the_default() {
    assert_eq!(parse("", &[]).unwrap().server.listen.to_string(), "127.0.0.1:8470");
}

#[test]
fn a_key_has_a_name_that_fits_a_label_and_a_known_algorithm() {
    let read = |text: &str| Config::parse(&"portcullis.toml".into(), text, []);
    let config = read("[keys.partner-1]\nalgorithm = \"ed25519\"\n").unwrap();
    assert_eq!(config.keys["partner-1"].file, None);
    for wrong in [
        "[keys.\"a\\u0000b\"]\nalgorithm = \"ed25519\"\n",
        "[keys.Partner]\nalgorithm = \"ed25519\"\n",
        "[keys.\"\"]\nalgorithm = \"ed25519\"\n",
        "[keys.a]\nalgorithm = \"rsa\"\n",
        "[keys.a]\n",
        "[keys.a]\nalgorithm = \"ed25519\"\nsecret = \"x\"\n",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_key_of_plugins_is_a_setting_or_a_section_with_known_fields() {
    let text = "[plugins]\nallow_unsigned = true\nshadow_queue = 8\n[plugins.my-rule]\ncapabilities = [\"kv\"]\n\
        budget = {fuel = 5}\nconfig = {day = 2026-01-01, most = 3}\n\
        [[plugins.my-rule.modes]]\nroute = \"GET /orders/*\"\nmode = \"shadow\"\n";
    let plugins = parse(text, &[]).unwrap().plugins;
    assert_eq!((plugins.allow_unsigned, plugins.shadow_queue), (Some(true), 8));
    let section = &plugins.named["my-rule"];
    assert_eq!(serde_json::json!(section.config), serde_json::json!({"day": "2026-01-01", "most": 3}));
    assert_eq!(section.budget.over(crate::plugin::Budget::default()).fuel, 5);
    assert_eq!(section.modes[0].route.as_ref().unwrap().as_str(), "GET /orders/*");
    let variables = [("PORTCULLIS_PLUGINS__MY-RULE__MODE", "off"), ("PORTCULLIS_PLUGINS__WATCH", "false")];
    let plugins = parse(text, &variables).unwrap().plugins;
    assert!(!plugins.watch);
    assert_eq!(plugins.named["my-rule"].mode, crate::plugin::Mode::Off);
    for (wrong, place) in [
        ("[plugins]\nwatsh = true\n", "portcullis.toml:2:9: `plugins.watsh`"),
        ("[plugins]\n\n[plugins.Rule]\n", "portcullis.toml:"),
        ("[plugins.rule]\nmodes = [{mode = \"loud\"}]\n", "portcullis.toml:2:"),
        ("[plugins.rule]\nmode = \"off\"\ncapability = []\n", "portcullis.toml:3:1"),
        ("[plugins.rule]\nmodes = [{route = \"/x\", mode = \"off\"}]\n", "portcullis.toml:2:"),
        ("[plugins]\ntrusted_keys = [\"ed25519:AA==\"]\n", "portcullis.toml:2:"),
        ("[plugins.rule]\nconfig = {x = inf}\n", "portcullis.toml:2:"),
        ("[plugins]\ninstances = 0\n", "portcullis.toml:2:1: `plugins.instances` must be from 1"),
        (
            "[plugins.rule]\nbudget = {fuel = 0}\n",
            "`plugins` has in its section `[plugins.rule]` `budget.fuel`",
        ),
        (
            "[plugins.rule]\nbreaker = {failures = 0}\n",
            "`plugins` has in its section `[plugins.rule]` `breaker`",
        ),
        (
            "[plugins.rule]\nkeys = [\"none\"]\n",
            "`plugins` has in its section `[plugins.rule]` the key `none`",
        ),
        (
            "[plugins.rule]\ncapabilities = [\"kv\"]\nwithhold = [\"kv\"]\n",
            "`plugins` has in its section `[plugins.rule]` `kv`",
        ),
    ] {
        let message = message(wrong);
        assert!(message.starts_with(place), "{wrong}: {message}");
    }
}
