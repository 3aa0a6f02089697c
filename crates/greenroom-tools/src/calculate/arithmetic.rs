//! The value of a program, and whether it is exact.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::fault::{Fault, FaultKind};
use super::parser::{Binary, Constant, Function, Op, Step};

/// The significant digits of results that come by way of binary floating point, which holds 15 of any
/// decimal.
const FLOAT_DIGITS: u32 = 15;

/// The most decimal places of a decimal.
const PLACES_MAX: u32 = 28;

/// Newton's method doubles the 15 correct digits of the first guess in each step.
const NEWTON_STEPS: usize = 4;

/// A value on the stack.
#[derive(Debug, Clone, Copy)]
struct Operand {
    value: Decimal,
    exact: bool,
    /// Whether it is a percentage, which a sum reads as relative to its left side.
    percent: bool,
}

impl Operand {
    fn new(value: Decimal, exact: bool) -> Self {
        Self { value, exact, percent: false }
    }
}

type Outcome = Result<Operand, FaultKind>;

/// The value of a program and whether it is exact.
pub(super) fn evaluate(program: &[Step]) -> Result<(Decimal, bool), Fault> {
    let mut stack: Vec<Operand> = Vec::new();
    for step in program {
        let outcome = match step.op {
            Op::Number(value) => Ok(Operand::new(value, true)),
            Op::Constant(Constant::Pi) => Ok(Operand::new(Decimal::PI, false)),
            Op::Constant(Constant::E) => Ok(Operand::new(Decimal::E, false)),
            Op::Negate => {
                let operand = pop(&mut stack);
                Ok(Operand { value: -operand.value, ..operand })
            }
            Op::Percent => divide(pop(&mut stack), Operand::new(Decimal::ONE_HUNDRED, true))
                .map(|share| Operand { percent: true, ..share }),
            Op::Binary(operator) => {
                let right = pop(&mut stack);
                let left = pop(&mut stack);
                binary(operator, left, right)
            }
            Op::Call(function, n_arguments) => {
                let arguments = stack.split_off(stack.len().saturating_sub(n_arguments));
                call(function, &arguments)
            }
        };
        stack.push(outcome.map_err(|kind| fault(kind, step))?);
    }
    let last = pop(&mut stack);
    Ok((last.value, last.exact))
}

fn pop(stack: &mut Vec<Operand>) -> Operand {
    stack.pop().expect("a parsed program never takes more operands than it has")
}

fn fault(kind: FaultKind, step: &Step) -> Fault {
    let found = match step.op {
        Op::Call(function, _) => function.name(),
        Op::Binary(Binary::Power) => "^",
        _ => "",
    };
    Fault::found(kind, step.at, found)
}

fn binary(operator: Binary, left: Operand, right: Operand) -> Outcome {
    match operator {
        Binary::Add => sum(left, right),
        Binary::Subtract => sum(left, Operand { value: -right.value, ..right }),
        Binary::Multiply | Binary::Of => multiply(left, right),
        Binary::Divide => divide(left, right),
        Binary::Modulo => modulo(left, right),
        Binary::Power => power(left, right),
    }
}

fn sum(left: Operand, right: Operand) -> Outcome {
    if right.percent && !left.percent {
        return multiply(left, sum(Operand { percent: true, ..ONE }, right)?);
    }
    let value = left.value.checked_add(right.value).ok_or(FaultKind::Overflow)?;
    // A sum that had to be rounded has fewer places than its operands.
    let is_whole = value.scale() >= left.value.scale().max(right.value.scale());
    let exact = left.exact && right.exact && is_whole;
    Ok(Operand { value, exact, percent: left.percent && right.percent })
}

const ONE: Operand = Operand { value: Decimal::ONE, exact: true, percent: false };

fn multiply(left: Operand, right: Operand) -> Outcome {
    let (factor, other) = (left.value.normalize(), right.value.normalize());
    let value = factor.checked_mul(other).ok_or(FaultKind::Overflow)?;
    if value.is_zero() && !factor.is_zero() && !other.is_zero() {
        return Err(FaultKind::Underflow);
    }
    // A product that had to be rounded has fewer places than its factors have together.
    let is_whole = value.is_zero() || value.scale() == factor.scale() + other.scale();
    Ok(Operand::new(value, left.exact && right.exact && is_whole))
}

fn divide(left: Operand, right: Operand) -> Outcome {
    if right.value.is_zero() {
        return Err(FaultKind::DivisionByZero);
    }
    let value = left.value.checked_div(right.value).ok_or(FaultKind::Overflow)?;
    if value.is_zero() && !left.value.is_zero() {
        return Err(FaultKind::Underflow);
    }
    let quotient = Operand::new(value, left.exact && right.exact);
    let back = multiply(quotient, right);
    let exact = back.is_ok_and(|back| back.exact && back.value == left.value);
    Ok(Operand { exact, ..quotient })
}

fn modulo(left: Operand, right: Operand) -> Outcome {
    if right.value.is_zero() {
        return Err(FaultKind::DivisionByZero);
    }
    let value = left.value.checked_rem(right.value).ok_or(FaultKind::Overflow)?;
    Ok(Operand::new(value, left.exact && right.exact))
}

fn power(base: Operand, exponent: Operand) -> Outcome {
    if !exponent.value.is_integer() {
        return fractional_power(base, exponent);
    }
    // An exponent too large for 64 bits leaves 0, 1 and -1 as the only bases that do not overflow.
    let whole = exponent.value.abs().to_u64().ok_or(FaultKind::Overflow)?;
    let raised = whole_power(base, whole)?;
    let raised = Operand { exact: raised.exact && exponent.exact, ..raised };
    if exponent.value.is_sign_negative() && whole != 0 { divide(ONE, raised) } else { Ok(raised) }
}

/// By squaring, which takes at most 64 rounds.
fn whole_power(base: Operand, exponent: u64) -> Outcome {
    let mut result = ONE;
    let mut square = base;
    let mut left = exponent;
    while left > 0 {
        if left % 2 == 1 {
            result = multiply(result, square)?;
        }
        left /= 2;
        if left > 0 {
            square = multiply(square, square)?;
        }
    }
    Ok(result)
}

fn fractional_power(base: Operand, exponent: Operand) -> Outcome {
    if base.value.is_zero() {
        return match exponent.value.is_sign_negative() {
            true => Err(FaultKind::DivisionByZero),
            false => Ok(Operand::new(Decimal::ZERO, base.exact)),
        };
    }
    if base.value.is_sign_negative() {
        return Err(FaultKind::Domain);
    }
    if exponent.exact && exponent.value == Decimal::new(5, 1) {
        return sqrt(base);
    }
    from_float(float(base).powf(float(exponent)))
}

fn call(function: Function, arguments: &[Operand]) -> Outcome {
    let [first, rest @ ..] = arguments else { return Err(FaultKind::Domain) };
    let first = Operand { percent: false, ..*first };
    let map = |value| Ok(Operand::new(value, first.exact));
    match function {
        Function::Abs => map(first.value.abs()),
        Function::Floor => map(first.value.floor()),
        Function::Ceil => map(first.value.ceil()),
        Function::Round => round(first, rest.first().map_or(Decimal::ZERO, |places| places.value)),
        Function::Min => Ok(best(first, rest, |new, old| new < old)),
        Function::Max => Ok(best(first, rest, |new, old| new > old)),
        Function::Sqrt => sqrt(first),
        Function::Pow => rest.first().map_or(Err(FaultKind::Domain), |&y| power(first, y)),
        Function::Exp if first.value.is_zero() => Ok(Operand { exact: first.exact, ..ONE }),
        Function::Exp => from_float(float(first).exp()),
        Function::Ln => positive(first).and_then(|x| from_float(x.ln())),
        Function::Log => logarithm(first, rest.first().copied()),
    }
}

/// The extreme of the arguments; exact only when all of them are, since the order depends on each.
fn best(first: Operand, rest: &[Operand], is_better: fn(Decimal, Decimal) -> bool) -> Operand {
    rest.iter().fold(first, |best, next| {
        let value = if is_better(next.value, best.value) { next.value } else { best.value };
        Operand::new(value, best.exact && next.exact)
    })
}

fn round(operand: Operand, places: Decimal) -> Outcome {
    let places = Some(places)
        .filter(Decimal::is_integer)
        .and_then(|places| places.to_u32())
        .filter(|places| *places <= PLACES_MAX)
        .ok_or(FaultKind::Domain)?;
    let halves_up = RoundingStrategy::MidpointAwayFromZero;
    Ok(Operand::new(operand.value.round_dp_with_strategy(places, halves_up), operand.exact))
}

fn sqrt(operand: Operand) -> Outcome {
    let square = operand.value;
    if square.is_zero() {
        return Ok(Operand::new(Decimal::ZERO, operand.exact));
    }
    if square.is_sign_negative() {
        return Err(FaultKind::Domain);
    }
    let mut root = from_float(float(operand).sqrt())?.value;
    for _ in 0..NEWTON_STEPS {
        let quotient = square.checked_div(root).ok_or(FaultKind::Overflow)?;
        let doubled = root.checked_add(quotient).ok_or(FaultKind::Overflow)?;
        root = doubled / Decimal::TWO;
    }
    // A decimal of at most 28 places that is a square has a root of at most 14.
    let rounded = Operand::new(root.round_dp(PLACES_MAX / 2), operand.exact);
    let is_root = multiply(rounded, rounded).is_ok_and(|back| back.value == square);
    Ok(if is_root { rounded } else { Operand::new(root, false) })
}

fn logarithm(operand: Operand, base: Option<Operand>) -> Outcome {
    let base = base.unwrap_or(Operand::new(Decimal::TEN, true));
    if base.value == Decimal::ONE {
        return Err(FaultKind::Domain);
    }
    let quotient = match base.value == Decimal::TEN {
        true => positive(operand)?.log10(),
        false => positive(operand)?.ln() / positive(base)?.ln(),
    };
    let logarithm = from_float(quotient)?;
    let is_power = logarithm.value.is_integer()
        && power(base, Operand { exact: true, ..logarithm })
            .is_ok_and(|back| back.exact && back.value == operand.value);
    Ok(Operand { exact: operand.exact && is_power, ..logarithm })
}

fn positive(operand: Operand) -> Result<f64, FaultKind> {
    let is_positive = !operand.value.is_zero() && operand.value.is_sign_positive();
    if is_positive { Ok(float(operand)) } else { Err(FaultKind::Domain) }
}

fn float(operand: Operand) -> f64 {
    operand.value.to_f64().expect("every decimal is within the range of a float")
}

fn from_float(float: f64) -> Outcome {
    // Rounding once, from the float's exact value: twice could be wrong in the last digit.
    let value = Decimal::from_f64_retain(float)
        .and_then(|value| value.round_sf(FLOAT_DIGITS))
        .ok_or(FaultKind::Overflow)?;
    if value.is_zero() && float != 0.0 {
        return Err(FaultKind::Underflow);
    }
    Ok(Operand::new(value, false))
}
