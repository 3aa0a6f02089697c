//! What beats what, and what is told of mistakes.

use std::path::Path;

use super::*;

fn file(text: &str) -> File {
    File::parse(Path::new("greenroom.toml"), text).expect("the file is fine")
}

fn config(flag: Option<&str>, environment: &[(&str, &str)], dot_env: &str, toml: &str) -> Config {
    let variables = Variables::new(environment, dot_env).expect("the variables are fine");
    Config { model: flag.map(str::to_owned), embedder: None, variables, file: file(toml) }
}

#[track_caller]
fn check(config: &Config, role: Role, model: &str, origin: &str) {
    let setting = config.model(role);
    assert_eq!((setting.value.as_str(), setting.origin.to_string().as_str()), (model, origin));
}

#[test]
fn the_command_line_beats_the_environment_beats_dot_env_beats_the_file() {
    let toml = "model = \"ollama:a\"\n[roles.writer]\nmodel = \"ollama:b\"\n";
    let (env, dot_env) = ([("GREENROOM_MODEL", "ollama:e")], "GREENROOM_MODEL=ollama:d\n");
    check(&config(None, &[], "", ""), Role::Planner, "extractive", "default");
    let of_file = config(None, &[], "", toml);
    check(&of_file, Role::Planner, "ollama:a", "greenroom.toml:1");
    check(&of_file, Role::Writer, "ollama:b", "greenroom.toml:3");
    let of_dot_env = config(None, &[], dot_env, toml);
    check(&of_dot_env, Role::Writer, "ollama:d", "GREENROOM_MODEL in .env");
    check(&config(None, &env, dot_env, toml), Role::Writer, "ollama:e", "GREENROOM_MODEL");
    check(&config(Some("ollama:f"), &env, dot_env, toml), Role::Writer, "ollama:f", "--model");
    let is_empty = config(None, &[("GREENROOM_MODEL", " ")], dot_env, toml);
    check(&is_empty, Role::Research, "ollama:d", "GREENROOM_MODEL in .env");
}

#[test]
fn an_address_of_the_environment_beats_that_of_the_file() {
    let toml = "[providers.openai]\nbase_url = \"http://file/v1\"\nrequests_per_minute = 0x10\n";
    let vendor = greenroom_models::http::vendor("openai").expect("there is one");
    let of_file = config(None, &[], "", toml);
    assert_eq!(of_file.base_url(vendor).value, "http://file/v1");
    assert_eq!(of_file.rates().collect::<Vec<_>>(), [("openai", Some(16), None)]);
    let both = config(None, &[("OPENAI_BASE_URL", "http://env/v1")], "", toml);
    assert_eq!(both.base_url(vendor).value, "http://env/v1");
    assert!(format!("{:?}", of_file.settings()).contains("http://file/v1"));
    assert!(!format!("{:?}", both.settings()).contains("http://file/v1"));
}

#[test]
fn an_embedder_is_named_like_a_model_and_none_takes_it_away() {
    let toml = "[embedder]\nmodel = \"ollama:nomic-embed-text\"\ndimensions = 256\nstrict = true\n\
                passage_prefix = \"search_document: \"\n";
    let named = |config: &Config| {
        let (name, _) = config.embedder()?;
        Some((name.value, name.origin.to_string()))
    };
    assert_eq!(named(&config(None, &[], "", "")), None);
    let of_file = config(None, &[], "", toml);
    let wanted = ("ollama:nomic-embed-text".to_owned(), "greenroom.toml:2".to_owned());
    assert_eq!(named(&of_file), Some(wanted));
    let (_, of_file) = of_file.embedder().expect("there is one");
    assert_eq!(of_file.dimensions.as_ref().map(|dimensions| dimensions.value), Some(256));
    assert!(of_file.is_strict);
    assert_eq!(of_file.passage_prefix.as_deref(), Some("search_document: "), "as it stands");
    let env = [("GREENROOM_EMBEDDER", "openai:e")];
    let of_env = config(None, &env, "", toml);
    assert_eq!(named(&of_env), Some(("openai:e".into(), "GREENROOM_EMBEDDER".into())));
    let taken = Config { embedder: Some("none".into()), ..config(None, &env, "", toml) };
    assert_eq!(named(&taken), None);
    check_mistake("[embedder]\nmodle = 1", "GR0413", &["did you mean `model`?"]);
    check_mistake(
        "[embedder]\nstrict = 1",
        "GR0414",
        &["`embedder.strict` is to be true or false"],
    );
}

#[track_caller]
fn check_mistake(toml: &str, code: &str, says: &[&str]) {
    let problem = File::parse(Path::new("greenroom.toml"), toml).expect_err(toml);
    let told = format!("{} {}", problem.message, problem.help.unwrap_or_default());
    assert_eq!((problem.code, problem.exit), (code, Exit::Config), "{told}");
    assert!(!told.contains('\n') && !told.contains("canary"), "{told}");
    for words in says {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn what_nobody_understands_is_told_with_its_line_and_the_nearest_key() {
    check_mistake(
        "\nmodle = 1",
        "GR0413",
        &["greenroom.toml:2: there is no `modle` here; did you mean `model`?"],
    );
    check_mistake(
        "[roles.planer]",
        "GR0413",
        &["in [roles]; did you mean `planner`? there are planner, research, writer"],
    );
    check_mistake(
        "[roles.writer]\nmode = \"x\"",
        "GR0413",
        &["greenroom.toml:2: ", "in [roles.writer]; did you mean `model`?"],
    );
    check_mistake("[providers.opnai]", "GR0413", &["did you mean `openai`?"]);
    check_mistake(
        "[providers.openai]\napi_key = \"canary\"",
        "GR0413",
        &["keys of providers come from the environment"],
    );
    check_mistake(
        "[providers.openai]\nzzzzzz = 1",
        "GR0413",
        &["there are base_url, requests_per_minute"],
    );
    check_mistake("model = 3", "GR0414", &["greenroom.toml:1: `model` is to be text in quotes"]);
    check_mistake("model = \" \"", "GR0414", &["not empty"]);
    check_mistake("roles = \"canary\"", "GR0414", &["`roles` is to be a table, [roles]"]);
    check_mistake("tries = 0", "GR0414", &["a whole number from 1"]);
    check_mistake("tries = -1", "GR0414", &["a whole number from 1"]);
    check_mistake("model = \"canary", "GR0412", &["greenroom.toml:1: this is not TOML"]);
    check_mistake("a = 1\nkey = canary\n", "GR0412", &["greenroom.toml:2: "]);
}

#[test]
fn a_mistake_in_dot_env_does_not_show_its_text() {
    let Err(Failure::Problem(problem)) = Variables::new(&[], "A=1\nsk-canary two\n") else {
        panic!("it is a mistake")
    };
    assert_eq!(problem.code, "GR0415");
    assert!(problem.message.contains("entry 2") && !problem.message.contains("canary"));
    let variables = Variables::new(&[], "\u{feff}A='1 2'\nexport B=3\nA=4\n").expect("it is fine");
    let value = |name| variables.get(name).map(|setting| setting.value);
    assert_eq!((value("A"), value("B"), value("C")), (Some("1 2".into()), Some("3".into()), None));
    assert!(!format!("{variables:?}").contains("1 2"));
}
