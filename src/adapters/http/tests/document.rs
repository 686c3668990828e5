//! The OpenAPI document says what is answered: every endpoint, every parameter, every field.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::{Served, World, releases, surgeries};

/// For each path of the document questions that together answer with every shape.
const QUESTIONS: [(&str, &[&str]); 14] = [
    ("/api/v1/summary", &["", "?as_known_at=2022-03-04T09:00Z"]),
    ("/api/v1/ledger", &[""]),
    ("/api/v1/aggregates", &[""]),
    (
        "/api/v1/aggregates/{name}",
        &[
            "activity?level=icb&from=2022-02-01&to=2022-02-28&limit=1",
            "activity?level=icb&from=2022-02-01&as_known_at=2022-03-04",
            "practice_day?level=practice&from=2022-02-01",
            "practice_month?level=practice&from=2022-02-01&code=J81003",
            "pressure?window=1%20h",
            "capacity",
        ],
    ),
    (
        "/api/v1/variation",
        &[
            "?measure=dna_share&practice=J81006",
            "?measure=dna_share&parent=11J&limit=7&month=2022-02&as_known_at=2022-03-04",
            "?measure=appointments_per_1000_patients_per_working_weekday&parent=E92000001",
        ],
    ),
    (
        "/api/v1/seasons",
        &[
            "",
            "?by=winter_year&limit=2",
            "?level=practice&code=J81000",
            "?level=icb&code=QVV&as_known_at=2022-03-04",
        ],
    ),
    (
        "/api/v1/quality",
        &[
            "?from=2022-02-01",
            "?level=practice&from=2022-02-01&limit=3",
            "?level=icb&from=2022-02-01&as_known_at=2022-03-04",
        ],
    ),
    (
        "/api/v1/totals/{aggregate}",
        &[
            "activity?level=icb&from=2022-02-01&to=2022-03-05&per=week&by=status,mode&limit=2",
            "activity?level=icb&code=QVV&from=2022-02-01&as_known_at=2022-03-04",
            "practice_month?level=pcn&parent=QVV&from=2022-02-01&by=status",
            "practice_month?level=practice&parent=QJK&from=2022-02-01&as_known_at=2022-03-04",
            "practice_month?level=sub_icb&code=11J&from=2022-02-01&as_known_at=2022-03-04",
            "capacity",
        ],
    ),
    (
        "/api/v1/places",
        &["", "?q=surg&limit=3", "?parent=QVV&as_known_at=2022-03-04"],
    ),
    ("/api/v1/suppliers", &[""]),
    ("/api/v1/definitions", &[""]),
    (
        "/api/v1/releases",
        &["", "?limit=1", "?as_known_at=2022-03-04T12:00Z"],
    ),
    ("/api/v1/events", &[""]),
    ("/api/v1/openapi.json", &[""]),
];

fn address(path: &str, question: &str) -> String {
    path.replace("{name}", "").replace("{aggregate}", "") + question
}

/// Components that others are made of: what they do not name, those may.
fn parts(schemas: &Value, into: &mut BTreeSet<String>) {
    match schemas {
        Value::Object(fields) => {
            for part in fields
                .get("allOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let name = part["$ref"].as_str().and_then(|at| at.rsplit('/').next());
                into.extend(name.map(str::to_owned));
            }
            fields.values().for_each(|field| parts(field, into));
        }
        Value::Array(items) => items.iter().for_each(|item| parts(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Nothing may be in an answer that its schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_whole =
                fields.contains_key("properties") && !fields.contains_key("additionalProperties");
            for (name, field) in fields.iter_mut() {
                if name == "allOf" {
                    // Its parts are closed together, below.
                    for part in field.as_array_mut().expect("parts") {
                        part.get_mut("properties").map(close).unwrap_or_default();
                    }
                } else {
                    close(field);
                }
            }
            if is_whole || fields.contains_key("allOf") {
                fields.insert("unevaluatedProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The document's components, closed.
fn components(document: &Value) -> Value {
    let mut open = BTreeSet::new();
    parts(&document["components"], &mut open);
    let mut components = document["components"].clone();
    let schemas = components["schemas"].as_object_mut().expect("schemas");
    for (name, schema) in schemas {
        if open.contains(name) {
            close(&mut schema["properties"]);
        } else {
            close(schema);
        }
    }
    components
}

/// Whether an answer is as the schema of a response says.
fn check(components: &Value, schema: &Value, answer: &Value) -> Result<(), String> {
    let mut schema = schema.clone();
    schema["components"] = components.clone();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors = validator.iter_errors(answer).take(3);
    let errors: Vec<String> = errors
        .map(|it| format!("{it} at {}", it.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("; "))
    }
}

fn schema_of<'d>(document: &'d Value, path: &str, status: &str, kind: &str) -> &'d Value {
    let schema = &document["paths"][path]["get"]["responses"][status]["content"][kind]["schema"];
    assert!(schema.is_object(), "{path}: no schema of {status}, {kind}");
    schema
}

fn paths(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    paths.keys().cloned().collect()
}

#[test]
fn every_answer_is_as_the_document_says_and_has_no_field_that_it_does_not_name() {
    let folder = releases(&[1, 2]);
    World::of(&surgeries()).serve_with(Some(folder.path().to_owned()), |served| {
        let document = served.json("/api/v1/openapi.json");
        assert!(
            document["openapi"]
                .as_str()
                .expect("a version")
                .starts_with("3.1.")
        );
        let asked: BTreeSet<String> = QUESTIONS
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .collect();
        assert_eq!(paths(&document), asked);
        let components = components(&document);
        let mut rows = 0;
        for (path, questions) in QUESTIONS {
            let kind = if path == "/api/v1/events" {
                "text/event-stream"
            } else {
                "application/json"
            };
            let schema = schema_of(&document, path, "200", kind);
            for question in questions {
                let address = address(path, question);
                let answer = if kind == "application/json" {
                    served.json(&address)
                } else {
                    served.first_event(&address)
                };
                rows += answer["rows"].as_array().map_or(0, Vec::len);
                let outcome = check(&components, schema, &answer);
                assert_eq!(outcome, Ok(()), "{path}{question}");
                let mut wrong = answer.clone();
                wrong["not_in_the_document"] = 1.into();
                let is_free = path == "/api/v1/openapi.json";
                assert_eq!(
                    check(&components, schema, &wrong).is_ok(),
                    is_free,
                    "{path}"
                );
            }
        }
        assert!(rows > 100, "{rows}");
    });
}

/// A question with a parameter that there is not.
fn wrong(path: &str) -> String {
    let path = path.replace("{name}", "activity");
    path.replace("{aggregate}", "activity") + "?surely_none=1"
}

/// The parameters that an error names as allowed.
fn allowed(served: &Served, path: &str) -> BTreeSet<String> {
    let answer = served.ask("GET", &wrong(path), "");
    assert_eq!(answer.status, 400, "{path}");
    let problem = answer.json();
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("unknown field `surely_none`"), "{detail}");
    let (_, after) = detail.split_once("expected").unwrap_or(("", ""));
    after
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_parameter_is_documented_and_every_error_is_a_problem() {
    World::of(&surgeries()).serve(|served| {
        let document = served.json("/api/v1/openapi.json");
        let components = components(&document);
        for path in paths(&document) {
            let parameters = &document["paths"][&path]["get"]["parameters"];
            let parameters = parameters.as_array().into_iter().flatten();
            let documented: BTreeSet<String> = parameters
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().expect("a name").to_owned())
                .collect();
            assert_eq!(allowed(served, &path), documented, "{path}");
            let schema = schema_of(&document, &path, "400", "application/problem+json");
            let wrong = served.ask("GET", &wrong(&path), "");
            let kind = wrong.header("content-type");
            assert_eq!(kind, "application/problem+json", "{path}");
            assert_eq!(check(&components, schema, &wrong.json()), Ok(()), "{path}");
        }
        let none = json!({ "title": "x" });
        let schema = schema_of(
            &document,
            "/api/v1/ledger",
            "400",
            "application/problem+json",
        );
        assert!(check(&components, schema, &none).is_err());
    });
}

/// Catches an endpoint that answers and is in no document.
#[test]
fn endpoints_of_the_api_are_made_with_their_document() {
    fn look(folder: &std::path::Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                look(&path, into);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let text: String = text.split_whitespace().collect();
            let routes = text.split(concat!(".ro", "ute(\"/api/v1/")).skip(1);
            into.extend(routes.filter_map(|it| Some(it.split('"').next()?.to_owned())));
        }
    }
    let mut found = Vec::new();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    look(&source, &mut found);
    assert_eq!(found, Vec::<String>::new(), "use routes! in document.rs");
}
