//! Tests of `calculate`.

use greenroom_core::tool::{DynTool, ToolErrorKind};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;

use super::parser::{Binary, Constant, Function, Op, Step};
use super::*;

#[track_caller]
fn check(expression: &str, result: &str) {
    match calculate(expression) {
        Ok(output) => assert_eq!(output.result, result, "{expression}"),
        Err(fault) => panic!("{expression}: {fault}"),
    }
}

#[track_caller]
fn refused(expression: &str, kind: FaultKind, at: usize) {
    let fault = calculate(expression).expect_err(expression);
    assert_eq!((fault.kind, fault.at), (kind, at), "{expression}: {fault}");
}

#[tokio::test]
async fn the_tool_answers_with_a_sentence() {
    let context = || ToolContext::new("c1".into(), "key");
    let arguments = json!({ "expression": " 12%  of 64 " });
    let output = CalculateTool.call_json(arguments, context()).await.unwrap();
    assert_eq!(
        output,
        json!({
            "expression": "12% of 64",
            "result": "7.68",
            "exact": true,
            "text": "12% of 64 = 7.68",
        })
    );
    let error = CalculateTool.call_json(json!({ "expression": "1 / 0" }), context()).await;
    let expected = ToolError::new(ToolErrorKind::Failed, "division by zero (at character 3)");
    assert_eq!(error, Err(expected));
    let error = CalculateTool.call_json(json!({ "expression": "1 +" }), context()).await;
    assert_eq!(error.unwrap_err().kind, ToolErrorKind::InvalidArguments);
}

#[test]
fn decimals_are_exact() {
    check("0.1 + 0.2", "0.3");
    check("1.10 * 3", "3.3");
    check("100 * 1.1", "110");
    check("4.35 * 100", "435");
    check("1 - 0.9", "0.1");
    check("79228162514264337593543950335 - 1", "79228162514264337593543950334");
    check("-0", "0");
    check("2 ^ 95 - 1", "39614081257132168796771975167");
    check("1.0000001 ^ 2", "1.00000020000001");
}

#[test]
fn the_table_of_precedence_holds() {
    check("2 + 3 * 4", "14");
    check("(2 + 3) * 4", "20");
    check("1 - 2 - 3", "-4");
    check("100 / 10 / 5", "2");
    check("7 % 3 * 2", "2");
    check("2^3^2", "512");
    check("2**3**2", "512");
    check("-2^2", "-4");
    check("(-2)^2", "4");
    check("2^-2", "0.25");
    check("2 * -3 + 4", "-2");
    check("--5", "5");
    check("+5 - +3", "2");
    check("8 / 50% of 4", "4");
    check("50% of 2^3", "4");
    check("-50% of 8", "-4");
    check("10% of 50% of 80", "4");
    check("4^50%", "2");
    check("6 × 7 ÷ 2 − 1", "20");
}

#[test]
fn a_percent_sign_is_a_percentage_or_a_modulo() {
    check("12% of 64", "7.68");
    check("12% * 64", "7.68");
    check("12 percent of 64", "7.68");
    check("12%", "0.12");
    check("(5 + 5)%", "0.1");
    check("50%%", "0.005");
    check("7 % 3", "1");
    check("7%3", "1");
    check("-7 % 3", "-1");
    check("7 % (-3)", "1");
    check("7.5 % 2", "1.5");
    check("12% - 3", "-2.88");
    check("200 + 10%", "220");
    check("200 - 10%", "180");
    check("200 + 10% + 10%", "242");
    check("200 + (10% + 5%)", "230");
    check("10% + 5%", "0.15");
    check("200 + 2 * 10%", "200.2");
    refused("64 of 12", FaultKind::OfWithoutPercent, 4);
}

#[test]
fn thousands_are_read_and_never_guessed() {
    check("1,000 + 1", "1001");
    check("1,234,567.89", "1234567.89");
    check("1_000_000", "1000000");
    check("(1,000 - 250) / 3", "250");
    check("max(1, 200)", "200");
    check("max(1_000, 5)", "1000");
    check("max((1,000), 5)", "1000");
    check("max(0,100)", "100");
    check("round(2.345,2)", "2.35");
    refused("max(1,200)", FaultKind::AmbiguousComma, 6);
    refused("round(12,345,1)", FaultKind::AmbiguousComma, 9);
    refused("1,00", FaultKind::Grouping, 2);
    refused("1,0000", FaultKind::Grouping, 2);
    refused("1234,567", FaultKind::Grouping, 5);
    refused("1, 2", FaultKind::Unexpected, 2);
}

#[test]
fn numbers_are_held_exactly_or_refused() {
    check(".5", "0.5");
    check("1.5e3", "1500");
    check("1.5E-3", "0.0015");
    check("1e-28", "0.0000000000000000000000000001");
    check("0e999", "0");
    check("7e28", "70000000000000000000000000000");
    for beyond in ["1e29", "1e-29", "1e999999999999", "0.00000000000000000000000000001"] {
        refused(beyond, FaultKind::Number, 1);
    }
    refused("2 + 79228162514264337593543950336", FaultKind::Number, 5);
    refused("5.", FaultKind::Character, 2);
    refused("1..2", FaultKind::Character, 2);
    refused("1_", FaultKind::Character, 2);
}

#[test]
fn functions_do_what_the_table_says() {
    check("sqrt(16)", "4");
    check("sqrt(2.25)", "1.5");
    check("sqrt(0.0000000000000000000000000001)", "0.00000000000001");
    check("sqrt(79228162514264337593543950335)", "281474976710656");
    check("ABS(-3)", "3");
    check("round(2.5)", "3");
    check("round(-2.5)", "-3");
    check("round(2 ^ 0.5, 4)", "1.4142");
    check("floor(-1.5)", "-2");
    check("ceil(-1.5)", "-1");
    check("min(3, 1, 2) + max(3, 1, 2)", "4");
    check("pow(2, 10)", "1024");
    check("log(1000)", "3");
    check("log(8, 2)", "3");
    check("ln(e)", "1");
    check("exp(1)", "2.71828182845905");
    check("8 ^ (1 / 3)", "2");
    check("0 ^ 0", "1");
    check("0 ^ 0.5", "0");
    check("round(π, 5)", "3.14159");
    refused("max()", FaultKind::Arguments, 1);
    refused("sqrt(1, 2)", FaultKind::Arguments, 1);
    refused("sqrt 4", FaultKind::Unexpected, 6);
    refused("pi(2)", FaultKind::UnknownName, 1);
    refused("1 + sin(2)", FaultKind::UnknownName, 5);
}

#[test]
fn an_inexact_value_says_so() {
    let text = |expression| calculate(expression).unwrap().text;
    assert_eq!(text("1/3"), "1/3 ≈ 0.3333333333333333333333333333");
    assert_eq!(text("1/8"), "1/8 = 0.125");
    assert_eq!(text("1/3*3"), "1/3*3 ≈ 0.9999999999999999999999999999");
    assert_eq!(text("sqrt(2)"), "sqrt(2) ≈ 1.4142135623730950488016887242");
    assert_eq!(text("sqrt(1.44)"), "sqrt(1.44) = 1.2");
    assert_eq!(text("log(8, 2)"), "log(8, 2) = 3");
    assert_eq!(text("log(9)"), "log(9) ≈ 0.954242509439325");
    assert_eq!(text("2 ^ 0.5"), "2 ^ 0.5 ≈ 1.4142135623730950488016887242");
    assert_eq!(text("exp(0)"), "exp(0) = 1");
    assert_eq!(text("max(1, 1/3)"), "max(1, 1/3) ≈ 1");
    let square = "1.000000000000001 * 1.000000000000001";
    assert_eq!(text(square), format!("{square} ≈ 1.000000000000002"));
    let sum = "79228162514264337593543950334 + 0.4";
    assert_eq!(text(sum), format!("{sum} ≈ 79228162514264337593543950334"));
}

#[test]
fn faults_are_values_with_a_place() {
    refused("", FaultKind::Empty, 1);
    refused("  ", FaultKind::Empty, 1);
    refused("1 +", FaultKind::Unfinished, 4);
    refused("* 2", FaultKind::Unexpected, 1);
    refused("2 3", FaultKind::Unexpected, 3);
    refused("2(3)", FaultKind::Unexpected, 2);
    refused("× (1 + 2", FaultKind::Unexpected, 1);
    refused("2 × (1 + 2", FaultKind::NotClosed, 5);
    refused("max(1, 2", FaultKind::NotClosed, 4);
    refused("(1 + 2))", FaultKind::NotOpened, 8);
    refused("()", FaultKind::NotOpened, 2);
    refused("2 × tau", FaultKind::UnknownName, 5);
    refused("1 $", FaultKind::Character, 3);
    refused("12 * 3 =", FaultKind::Character, 8);
    refused("1 / (2 - 2)", FaultKind::DivisionByZero, 3);
    refused("1 % 0", FaultKind::DivisionByZero, 3);
    refused("0 ^ -1", FaultKind::DivisionByZero, 3);
    refused("0 ^ -0.5", FaultKind::DivisionByZero, 3);
    refused("10 ^ 30", FaultKind::Overflow, 4);
    refused("10 ^ 10 ^ 10 ^ 10", FaultKind::Overflow, 9);
    refused("10 ^ -29", FaultKind::Overflow, 4);
    refused("0.1 ^ 29", FaultKind::Underflow, 5);
    refused("1e-20 * 1e-20", FaultKind::Underflow, 7);
    refused("79228162514264337593543950335 + 1", FaultKind::Overflow, 31);
    refused("exp(100)", FaultKind::Overflow, 1);
    refused("sqrt(-1)", FaultKind::Domain, 1);
    refused("(-8) ^ 0.5", FaultKind::Domain, 6);
    refused("ln(0)", FaultKind::Domain, 1);
    refused("log(8, 1)", FaultKind::Domain, 1);
    refused("log(8, -2)", FaultKind::Domain, 1);
    refused("round(1, 29)", FaultKind::Domain, 1);
    refused("round(1, 0.5)", FaultKind::Domain, 1);
}

#[test]
fn length_and_nesting_are_bounded() {
    let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    check(&nested(64), "1");
    refused(&nested(65), FaultKind::TooDeep, 65);
    refused(&format!("{}1", "-".repeat(65)), FaultKind::TooDeep, 65);
    refused(&format!("1{}", "^1".repeat(65)), FaultKind::TooDeep, 130);
    refused(&"abs(".repeat(65), FaultKind::TooDeep, 260);
    refused(&" ".repeat(1_001), FaultKind::TooLong, 1_001);
    refused(&"×".repeat(1_000), FaultKind::Unexpected, 1);
}

/// Everything that grows with the expression runs in a small stack.
#[test]
fn long_chains_need_little_stack() {
    let small_stack = std::thread::Builder::new().stack_size(256 << 10);
    let chains = small_stack.spawn(|| {
        check(&format!("1{}", "+1".repeat(499)), "500");
        check(&format!("0{}", "%".repeat(999)), "0");
        check(&format!("{}1{}", "abs(1+(1+".repeat(32), "))".repeat(32)), "65");
    });
    chains.unwrap().join().unwrap();
}

/// An expression as a tree, which the tests turn into programs of their own.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(Op),
    Negate(Box<Tree>),
    Percent(Box<Tree>),
    Binary(Binary, Box<Tree>, Box<Tree>),
    Call(Function, Vec<Tree>),
}

impl Tree {
    fn program(&self, program: &mut Vec<Step>) {
        let op = match self {
            Self::Leaf(op) => *op,
            Self::Negate(operand) => {
                operand.program(program);
                Op::Negate
            }
            Self::Percent(operand) => {
                operand.program(program);
                Op::Percent
            }
            Self::Binary(operator, left, right) => {
                left.program(program);
                right.program(program);
                Op::Binary(*operator)
            }
            Self::Call(function, arguments) => {
                arguments.iter().for_each(|argument| argument.program(program));
                Op::Call(*function, arguments.len())
            }
        };
        program.push(Step { op, at: 1 });
    }
}

fn leaf() -> impl Strategy<Value = Tree> {
    prop_oneof![
        (0..10_000_i64, 0..4_u32)
            .prop_map(|(digits, scale)| Op::Number(Decimal::new(digits, scale).normalize())),
        Just(Op::Constant(Constant::Pi)),
        Just(Op::Constant(Constant::E)),
    ]
    .prop_map(Tree::Leaf)
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            Binary::Add,
            Binary::Subtract,
            Binary::Multiply,
            Binary::Divide,
            Binary::Modulo,
            Binary::Power,
        ]);
        let percent = inner.clone().prop_map(|operand| Tree::Percent(Box::new(operand)));
        let function = prop::sample::select(vec![Function::Min, Function::Max]);
        prop_oneof![
            inner.clone().prop_map(|operand| Tree::Negate(Box::new(operand))),
            percent.clone(),
            (operator, inner.clone(), inner.clone()).prop_map(|(op, left, right)| Tree::Binary(
                op,
                left.into(),
                right.into()
            )),
            (percent, inner.clone()).prop_map(|(share, of)| Tree::Binary(
                Binary::Of,
                share.into(),
                of.into()
            )),
            (function, prop::collection::vec(inner, 1..4))
                .prop_map(|(function, arguments)| Tree::Call(function, arguments)),
        ]
    })
}

/// A sum of products of small numbers, with its value by `rust_decimal`.
fn sums() -> impl Strategy<Value = (String, Decimal)> {
    let number = (-999_i64..1_000, 0..4_u32).prop_map(|(digits, scale)| {
        let value = Decimal::new(digits, scale);
        (format!("({value})"), value)
    });
    number.prop_recursive(4, 24, 2, |inner| {
        (inner.clone(), inner, 0..3).prop_map(|((left, x), (right, y), operator)| match operator {
            0 => (format!("({left} + {right})"), x + y),
            1 => (format!("({left} - {right})"), x - y),
            _ => (format!("({left} * {right})"), x * y),
        })
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same_program(tree in tree()) {
        let mut program = Vec::new();
        tree.program(&mut program);
        let printed = print::program(&program);
        let read = parser::parse(&printed).map_err(|fault| {
            TestCaseError::fail(format!("{printed}: {fault}"))
        })?;
        let ops = |steps: &[Step]| steps.iter().map(|step| step.op).collect::<Vec<_>>();
        prop_assert_eq!(ops(&read), ops(&program), "{}", printed);
    }

    #[test]
    fn sums_and_products_are_those_of_the_decimal_type((expression, value) in sums()) {
        let output = calculate(&expression).map_err(|fault| {
            TestCaseError::fail(format!("{expression}: {fault}"))
        })?;
        prop_assert_eq!(output.result, value.normalize().to_string());
    }

    #[test]
    fn a_modulo_is_that_of_whole_numbers(
        left in -1_000_000_000_i64..1_000_000_000,
        right in 1_i64..1_000_000,
        places in (0..10_u32, 0..10_u32),
    ) {
        let (dividend, divisor) = (Decimal::new(left, places.0), Decimal::new(right, places.1));
        let whole = |digits: i64, places| i128::from(digits) * 10_i128.pow(10 - places);
        let expected = whole(left, places.0) % whole(right, places.1);
        let output = calculate(&format!("({dividend}) % ({divisor})")).map_err(|fault| {
            TestCaseError::fail(fault.to_string())
        })?;
        let expected = Decimal::from_i128_with_scale(expected, 10).normalize();
        prop_assert_eq!(output.result, expected.to_string());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[-+*/%^() ,._0-9eEπ×÷−]{0,200}|((sqrt|round|log|pow|max|of|pi|ln|exp|1e9|0\\.1|[0-9]{1,29})[-+*/%^(), ]{0,2}){0,40}") {
        if let Ok(output) = calculate(&text) {
            prop_assert!(output.result.parse::<Decimal>().is_ok());
        }
    }
}
