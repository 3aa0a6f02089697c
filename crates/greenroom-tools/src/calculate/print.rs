//! A program as the shortest text that reads as the same program.

use rust_decimal::Decimal;

use super::parser::{Binary, Binding, Constant, Op, Step};

/// A decimal without trailing zeros.
pub(super) fn number(value: Decimal) -> String {
    value.normalize().to_string()
}

/// The text of a program.
pub(super) fn program(steps: &[Step]) -> String {
    let mut stack: Vec<(String, Binding)> = Vec::new();
    for step in steps {
        let printed = match step.op {
            Op::Number(value) => (number(value), Binding::Atom),
            Op::Constant(Constant::Pi) => ("pi".into(), Binding::Atom),
            Op::Constant(Constant::E) => ("e".into(), Binding::Atom),
            Op::Negate => {
                let operand = enclosed(pop(&mut stack), Binding::Sign);
                (format!("-{operand}"), Binding::Sign)
            }
            Op::Percent => {
                let operand = enclosed(pop(&mut stack), Binding::Percent);
                (format!("{operand}%"), Binding::Percent)
            }
            Op::Binary(binary) => {
                let right = pop(&mut stack);
                let left = pop(&mut stack);
                (infix(binary, left, right), binary.binding())
            }
            Op::Call(function, n_arguments) => {
                let arguments = stack.split_off(stack.len().saturating_sub(n_arguments));
                let arguments: Vec<_> = arguments.into_iter().map(|(text, _)| text).collect();
                (format!("{}({})", function.name(), arguments.join(", ")), Binding::Atom)
            }
        };
        stack.push(printed);
    }
    pop(&mut stack).0
}

fn pop(stack: &mut Vec<(String, Binding)>) -> (String, Binding) {
    stack.pop().expect("a parsed program never takes more operands than it has")
}

fn infix(binary: Binary, left: (String, Binding), right: (String, Binding)) -> String {
    let binding = binary.binding();
    let (left_loosest, right_loosest) = match binary {
        Binary::Power => (binding.tighter(), binding),
        // The percentage before `of` stays bare; parentheses around it would be read as well.
        Binary::Of => (Binding::Percent, binding),
        _ => (binding, binding.tighter()),
    };
    // A sign after an operator would turn a modulo into a percentage.
    let right_loosest = match right.1 {
        Binding::Sign => Binding::Atom,
        _ => right_loosest,
    };
    let symbol = match binary {
        Binary::Add => "+",
        Binary::Subtract => "-",
        Binary::Multiply => "*",
        Binary::Divide => "/",
        Binary::Modulo => "%",
        Binary::Of => "of",
        Binary::Power => "^",
    };
    format!("{} {symbol} {}", enclosed(left, left_loosest), enclosed(right, right_loosest))
}

fn enclosed((text, binding): (String, Binding), loosest: Binding) -> String {
    if binding < loosest { format!("({text})") } else { text }
}
