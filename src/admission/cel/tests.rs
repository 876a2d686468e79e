use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::admissionregistration::v1::MatchCondition;
use kube::core::cel::cel::Value;
use serde_json::{Value as Json, json};

use super::{Authorizer, Budget, Compiled, Conditions, Evaluator, Inputs, Matched, POLICY, Variables};
use crate::authz::{Attributes, Authorizer as Decides, Decision, ResourceAttributes};
use crate::wire::user::UserInfo;

fn inputs(object: Json) -> Inputs {
    let request = json!({"operation": "CREATE", "userInfo": {"username": "ann", "groups": ["a", "b"]}});
    Inputs::new(Some(&object), None, &request, None, None)
}

/// On a thread with the stack that evaluations have.
fn deep<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(job).unwrap();
    thread.join().unwrap()
}

fn evaluate_with(expression: &str, inputs: Inputs, variables: &[(&str, &str)]) -> Result<Value, String> {
    let expression = expression.to_owned();
    let variables: Vec<_> = variables
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    deep(move || {
        let variables = Variables::compile(variables.iter().map(|(a, b)| (a.as_str(), b.as_str())));
        let compiled = Compiled::new(&expression);
        let mut evaluator = Evaluator::new(&inputs, &variables, Budget::new(POLICY));
        compiled.run(&mut evaluator).map_err(|(_, text)| text)
    })
}

fn evaluate(expression: &str) -> Result<Value, String> {
    let object = json!({
        "metadata": {"name": "x", "labels": {"app.io/name": "n", "in": "y"}},
        "spec": {"replicas": 3, "ratio": 0.5, "names": ["b", "a", "c"], "none": null, "cpu": "1500m",
            "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]},
    });
    evaluate_with(
        expression,
        inputs(object),
        &[("double", "object.spec.replicas * 2"), ("bad", "object.nope")],
    )
}

#[track_caller]
fn holds(expressions: &[&str]) {
    for expression in expressions {
        assert_eq!(evaluate(expression), Ok(Value::Bool(true)), "{expression}");
    }
}

#[test]
fn operators_macros_and_functions() {
    holds(&[
        "object.spec.replicas == 3 && object.spec.replicas < 4.5 && 3.0 == object.spec.replicas",
        "object.metadata.labels['app.io/name'] == 'n'",
        "'in' in object.metadata.labels && !('x' in object.metadata.labels)",
        "has(object.spec.cpu) && !has(object.spec.nope) && !has(object.spec.cpu.x)",
        "object.spec.ports.all(p, p.port > 0) && object.spec.ports.exists(p, p.name == 'http')",
        "object.spec.ports.exists_one(p, p.port == 80)",
        "object.spec.ports.map(p, p.port) == [80, 443]",
        "object.spec.ports.filter(p, p.port > 100).size() == 1",
        "object.spec.ports.map(p, p.port > 100, p.name) == ['https']",
        "[1, 2].all(i, v, i == v - 1) && {'a': 1}.exists(k, v, k == 'a' && v == 1)",
        "[1, 2, 3].transformList(i, v, i > 0, v * 2) == [4, 6]",
        "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "object.?spec.?nope.orValue('d') == 'd' && object.?spec.cpu.orValue('') == '1500m'",
        "object.spec[?'cpu'].hasValue() && !object.spec[?'nope'].hasValue()",
        "object.?spec.?cpu.optMap(c, c + '!').value() == '1500m!'",
        "cel.bind(n, object.spec.names, n.size() == 3 && n[0] == 'b')",
        "object.spec.names.sort() == ['a', 'b', 'c']",
        "quantity(object.spec.cpu).isLessThan(quantity('2'))",
        "isQuantity('1Gi') && !isQuantity('x')",
        "'a-b'.split('-').join('+') == 'a+b' && 'AbC'.lowerAscii() == 'abc'",
        "'abc'.matches('^a.c$') && 'xabc'.find('b.') == 'bc'",
        "sets.contains([1, 2], [2])",
        "url('https://example.com:80/p?q=1').getHostname() == 'example.com'",
        "ip('127.0.0.1').isLoopback() && cidr('10.0.0.0/8').containsIP('10.1.2.3')",
        "format.dns1123Label().validate('a.b').hasValue()",
        "'%s has %d'.format(['x', 3]) == 'x has 3'",
        "timestamp('2020-01-01T00:00:00Z') < timestamp('2021-01-01T00:00:00Z')",
        "duration('1h') + duration('30m') == duration('90m')",
        "type(1) == int && type('') == string && type(null) == null_type",
        "string(object.spec.replicas) == '3' && int('7') == 7 && double('0.5') == object.spec.ratio",
        "oldObject == null && namespaceObject == null && params == null",
        "request.userInfo.groups.exists(g, g == 'b') && request.operation == 'CREATE'",
        "variables.double == 6",
        "true || object.nope && true",
        "object.nope || true",
        "!(object.nope && false)",
        "[object.spec, 1].exists(x, x == 1)",
        "[1, 0, 2].exists(x, 2 / x == 1)",
        "semver('1.2.3').isLessThan(semver('1.10.0'))",
        "b'abc'.size() == 3 && 'äö'.size() == 2",
        "[[1, 2], [3]].flatten() == [1, 2, 3] && 7 / 2 == 3 && 7 % 2 == 1 && -(-1) == 1",
    ]);
}

#[test]
fn what_goes_wrong_is_told_in_the_words_of_cel_go() {
    for (expression, text) in [
        ("object.nope == 1", "no such key: nope"),
        ("object.metadata.name.x", "no such key: x"),
        ("oldObject.spec.replicas == 3", "no such key: spec"),
        ("object.spec.names[7] == ''", "index out of bounds: 7"),
        ("1 / (object.spec.replicas - 3) == 1", "division by zero"),
        ("1 % (object.spec.replicas - 3) == 1", "modulus by zero"),
        ("object.spec.replicas + 9223372036854775807 > 0", "integer overflow"),
        ("object.spec.names + 1 == 1", "no such overload"),
        ("object.spec.names < 1", "no such overload: _<_"),
        ("object.spec.cpu.startsWith(1)", "no such overload"),
        (
            "variables.bad == 1",
            "composited variable \"bad\" fails to evaluate: no such key: nope",
        ),
    ] {
        let whole = format!("expression '{expression}' resulted in error: {text}");
        assert_eq!(evaluate(expression), Err(whole), "{expression}");
    }
    let broken = evaluate("object.");
    assert!(
        broken
            .as_ref()
            .is_err_and(|text| text.starts_with("compilation error: ")),
        "{broken:?}"
    );
}

#[test]
fn what_runs_away_is_stopped() {
    let list: Vec<u32> = (0..3_000).collect();
    let object = || inputs(json!({"l": list, "s": "a".repeat(100_000), "t": "b".repeat(100_000)}));
    let cancelled = "operation cancelled: actual cost limit exceeded";
    for expression in [
        "object.l.all(a, object.l.all(b, object.l.all(c, true)))",
        "object.l.map(a, object.l.map(b, object.l)).size() > 0",
        "object.l.map(a, [object.l, object.l]) == object.l.map(a, [object.l, object.l])",
    ] {
        let whole = format!("expression '{expression}' resulted in error: {cancelled}");
        assert_eq!(evaluate_with(expression, object(), &[]), Err(whole), "{expression}");
    }
    // What alone would cost more than all may spend is not begun.
    let spent = "validation failed due to running out of cost budget, no further validation rules will be run";
    for expression in [
        "object.s.replace('a', object.t) == ''",
        "object.l.map(x, 'x').join(object.t) == ''",
        "lists.range(1000000000).size() > 0",
    ] {
        let outcome = evaluate_with(expression, object(), &[]);
        assert_eq!(outcome, Err(spent.to_owned()), "{expression}");
    }
    // Doubled thirty times, by copies and by sharing.
    for double in ["variables.vN + variables.vN", "[variables.vN, variables.vN]"] {
        let names: Vec<(String, String)> = (0..40)
            .map(|at| match at {
                0 => ("v0".to_owned(), "object.l".to_owned()),
                at => (format!("v{at}"), double.replace("vN", &format!("v{}", at - 1))),
            })
            .collect();
        let names: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let outcome = evaluate_with("variables.v39 == variables.v39", object(), &names);
        assert!(
            outcome.as_ref().is_err_and(|text| text.contains(cancelled)),
            "{double}: {outcome:?}"
        );
    }
}

#[test]
fn deep_expressions_are_evaluated_or_refused_and_neither_ends_the_process() {
    for depth in [10, 50, 200, 20_000] {
        let expression = format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
        let outcome = evaluate(&expression);
        assert!(outcome == Ok(Value::Bool(true)) || depth > 100, "{depth}: {outcome:?}");
        let not = evaluate(&format!("{}[1].size() > 0", "!".repeat(depth * 2)));
        let sum = evaluate(&format!("{}0 == 0", "0 + ".repeat(depth)));
        println!("{depth}: {} {} {}", outcome.is_ok(), not.is_ok(), sum.is_ok());
    }
}

#[test]
fn a_quantity_beyond_all_others_is_no_small_one() {
    for huge in ["1e400", "1e2147483647", "100000000000000000000000000000000000000E"] {
        for expression in [
            "quantity(object.q).isLessThan(quantity('2'))",
            "quantity(object.q) == quantity('0')",
        ] {
            let outcome = evaluate_with(expression, inputs(json!({"q": huge})), &[]);
            assert_ne!(outcome, Ok(Value::Bool(true)), "{huge}: {expression}");
        }
    }
    holds(&["quantity('9E').isGreaterThan(quantity('1n')) && quantity('1Ei').compareTo(quantity('1E')) == 1"]);
}

#[test]
fn mistakes_are_told_in_few_words() {
    let outcome = evaluate(&"1 == == ".repeat(3_000));
    let text = outcome.expect_err("it does not compile");
    assert!(
        text.starts_with("compilation error: ") && text.len() < 3_000,
        "{}",
        text.len()
    );
}

#[test]
fn variables_may_need_each_other_but_not_without_end() {
    let chain = |length: usize, before: &str, after: &str| {
        let names: Vec<(String, String)> = (0..length)
            .map(|at| match at {
                0 => ("v0".to_owned(), "true".to_owned()),
                at => (format!("v{at}"), format!("{before}variables.v{}{after}", at - 1)),
            })
            .collect();
        let names: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        evaluate_with(&format!("variables.v{}", length - 1), inputs(json!({})), &names)
    };
    assert_eq!(chain(100, "", ""), Ok(Value::Bool(true)));
    for (length, brackets) in [(30_000, 0), (300, 100)] {
        let outcome = chain(length, &"[".repeat(brackets), &"]".repeat(brackets));
        assert!(
            outcome
                .as_ref()
                .is_err_and(|why| why.contains("nested too deep") && why.len() < 8 << 10),
            "{outcome:?}"
        );
    }
}

fn conditions(expressions: &[&str]) -> Conditions {
    let condition = |(at, expression): (usize, &&str)| MatchCondition {
        name: format!("c{at}"),
        expression: (*expression).to_owned(),
    };
    let conditions: Vec<_> = expressions.iter().enumerate().map(condition).collect();
    deep(move || Conditions::compiled(&conditions))
}

#[tokio::test]
async fn one_condition_that_is_false_decides_whatever_went_wrong() {
    let inputs = Arc::new(inputs(json!({"a": 1})));
    let wrong = |name: &str| format!("expression 'object.{name}' resulted in error: no such key: {name}");
    for (expressions, matched) in [
        (&[][..], Matched::Yes),
        (&["true", "object.a == 1"], Matched::Yes),
        (&["true", "object.a == 2", "false"], Matched::No("c1".to_owned())),
        (&["object.x", "false"], Matched::No("c1".to_owned())),
        (&["object.x", "true"], Matched::Failed(wrong("x"))),
        (
            &["object.x", "object.y"],
            Matched::Failed(format!("[{}, {}]", wrong("x"), wrong("y"))),
        ),
        (&["object.x", "object.x"], Matched::Failed(wrong("x"))),
    ] {
        assert_eq!(
            conditions(expressions).matches(&inputs).await,
            matched,
            "{expressions:?}"
        );
    }
}

#[derive(Debug)]
struct Deciding;

#[async_trait]
impl Decides for Deciding {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        tokio::task::yield_now().await;
        match attributes {
            Attributes::Resource(about) if about.verb == "fail" => Err("no answer".to_owned()),
            Attributes::Resource(about) if about.verb == "who" => Ok(Decision::Deny {
                reason: user.name.clone(),
            }),
            Attributes::Resource(about) => Ok(if about.namespace == "ns" {
                Decision::allow()
            } else {
                Decision::deny()
            }),
            Attributes::Path { path, .. } => Ok(Decision::Deny { reason: path.clone() }),
        }
    }
}

#[tokio::test]
async fn the_authorizer_answers() {
    let about = ResourceAttributes {
        namespace: "ns".to_owned(),
        ..ResourceAttributes::default()
    };
    let user = UserInfo {
        name: "ann".to_owned(),
        ..UserInfo::default()
    };
    let authorizer = Authorizer::new(Arc::new(Deciding), Arc::new(user), about);
    let mut inputs = inputs(json!({}));
    inputs.authorizer = Some(authorizer);
    let inputs = Arc::new(inputs);
    for (expression, matched) in [
        (
            "authorizer.group('').resource('pods').namespace('ns').check('get').allowed()",
            Matched::Yes,
        ),
        (
            "authorizer.group('').resource('pods').check('get').allowed()",
            Matched::No("c0".to_owned()),
        ),
        ("authorizer.requestResource.check('get').allowed()", Matched::Yes),
        (
            "authorizer.requestResource.subresource('status').name('n').check('get').allowed()",
            Matched::Yes,
        ),
        (
            "authorizer.path('/healthz').check('get').reason() == '/healthz'",
            Matched::Yes,
        ),
        (
            "authorizer.group('').resource('pods').check('who').reason() == 'ann'",
            Matched::Yes,
        ),
        (
            "authorizer.serviceAccount('ns', 'sa').group('').resource('pods').check('who').reason() == 'system:serviceaccount:ns:sa'",
            Matched::Yes,
        ),
        (
            "authorizer.group('').resource('pods').check('fail').errored() && authorizer.group('').resource('pods').check('fail').error() == 'no answer'",
            Matched::Yes,
        ),
    ] {
        assert_eq!(
            conditions(&[expression]).matches(&inputs).await,
            matched,
            "{expression}"
        );
    }
}
