//! Tokens into a program in postfix order, by precedence climbing. Its recursion is bounded by
//! [`DEPTH_MAX`]; programs themselves are flat.

use rust_decimal::Decimal;

use super::fault::{Fault, FaultKind};
use super::lexer::{self, Token, TokenKind};

/// The most levels of nesting: parentheses, signs and right-associative operators.
pub(super) const DEPTH_MAX: usize = 64;

/// One step of a program, which works on a stack of operands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) op: Op,
    /// The character of the source that the step stems from, counted from 1.
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    Number(Decimal),
    Constant(Constant),
    Negate,
    Percent,
    Binary(Binary),
    /// A function of so many operands, at least one.
    Call(Function, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    Pi,
    E,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Of,
    Power,
}

/// How tightly an operator binds. The order of the variants is the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    None,
    Sum,
    Product,
    Sign,
    Of,
    Power,
    Percent,
    Atom,
}

impl Binding {
    /// The next tighter one.
    pub(super) fn tighter(self) -> Self {
        match self {
            Self::None => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product => Self::Sign,
            Self::Sign => Self::Of,
            Self::Of => Self::Power,
            Self::Power => Self::Percent,
            Self::Percent | Self::Atom => Self::Atom,
        }
    }
}

impl Binary {
    pub(super) fn binding(self) -> Binding {
        match self {
            Self::Add | Self::Subtract => Binding::Sum,
            Self::Multiply | Self::Divide | Self::Modulo => Binding::Product,
            Self::Of => Binding::Of,
            Self::Power => Binding::Power,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Sqrt,
    Abs,
    Round,
    Floor,
    Ceil,
    Min,
    Max,
    Pow,
    Exp,
    Ln,
    Log,
}

impl Function {
    pub(super) const ALL: [Self; 11] = [
        Self::Sqrt,
        Self::Abs,
        Self::Round,
        Self::Floor,
        Self::Ceil,
        Self::Min,
        Self::Max,
        Self::Pow,
        Self::Exp,
        Self::Ln,
        Self::Log,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqrt => "sqrt",
            Self::Abs => "abs",
            Self::Round => "round",
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Min => "min",
            Self::Max => "max",
            Self::Pow => "pow",
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Log => "log",
        }
    }

    fn takes(self, n_arguments: usize) -> bool {
        match self {
            Self::Min | Self::Max => n_arguments >= 1,
            Self::Round | Self::Log => (1..=2).contains(&n_arguments),
            Self::Pow => n_arguments == 2,
            _ => n_arguments == 1,
        }
    }
}

/// Reads an expression.
pub(super) fn parse(source: &str) -> Result<Vec<Step>, Fault> {
    let tokens = lexer::tokens(source)?;
    if tokens.len() == 1 {
        return Err(Fault::new(FaultKind::Empty, 1));
    }
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, program: Vec::new() };
    parser.expression(Binding::None)?;
    match parser.peek() {
        Token { kind: TokenKind::End, .. } => Ok(parser.program),
        other => Err(unexpected(other)),
    }
}

fn unexpected(token: &Token) -> Fault {
    match token.kind {
        TokenKind::End => Fault::new(FaultKind::Unfinished, token.at),
        TokenKind::Close => Fault::new(FaultKind::NotOpened, token.at),
        _ => Fault::found(FaultKind::Unexpected, token.at, token.kind.shown()),
    }
}

struct Parser<'a> {
    /// Ends with `End`, which is never passed.
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    program: Vec<Step>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        &self.tokens[self.next]
    }

    fn emit(&mut self, op: Op, at: usize) {
        self.program.push(Step { op, at });
    }

    /// An operand and every operator after it that binds at least as tightly as `loosest`.
    fn expression(&mut self, loosest: Binding) -> Result<(), Fault> {
        self.operand()?;
        loop {
            let token = self.peek();
            let binary = match token.kind {
                TokenKind::Plus => Binary::Add,
                TokenKind::Minus => Binary::Subtract,
                TokenKind::Star => Binary::Multiply,
                TokenKind::Slash => Binary::Divide,
                TokenKind::Percent if self.tokens[self.next + 1].kind.starts_operand() => {
                    Binary::Modulo
                }
                TokenKind::Percent => {
                    // Nothing binds tighter, so this never belongs to an outer operator.
                    self.next += 1;
                    self.emit(Op::Percent, token.at);
                    continue;
                }
                TokenKind::Caret => Binary::Power,
                TokenKind::Of => Binary::Of,
                _ => return Ok(()),
            };
            if binary.binding() < loosest {
                return Ok(());
            }
            self.next += 1;
            self.right(binary, token.at)?;
        }
    }

    fn right(&mut self, binary: Binary, at: usize) -> Result<(), Fault> {
        match binary {
            Binary::Of if !self.program.last().is_some_and(|step| step.op == Op::Percent) => {
                return Err(Fault::new(FaultKind::OfWithoutPercent, at));
            }
            Binary::Of | Binary::Power => self.nested(binary.binding(), at)?,
            _ => self.expression(binary.binding().tighter())?,
        }
        self.emit(Op::Binary(binary), at);
        Ok(())
    }

    fn nested(&mut self, loosest: Binding, at: usize) -> Result<(), Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::new(FaultKind::TooDeep, at));
        }
        self.depth += 1;
        self.expression(loosest)?;
        self.depth -= 1;
        Ok(())
    }

    fn operand(&mut self) -> Result<(), Fault> {
        let token = self.peek();
        match &token.kind {
            TokenKind::Number(value) => {
                self.next += 1;
                self.emit(Op::Number(*value), token.at);
                Ok(())
            }
            TokenKind::Name(name) => self.named(name, token.at),
            TokenKind::Minus => {
                self.next += 1;
                self.nested(Binding::Sign, token.at)?;
                self.emit(Op::Negate, token.at);
                Ok(())
            }
            TokenKind::Plus => {
                self.next += 1;
                self.nested(Binding::Sign, token.at)
            }
            TokenKind::Open => {
                self.next += 1;
                self.nested(Binding::None, token.at)?;
                self.close(token.at)
            }
            _ => Err(unexpected(token)),
        }
    }

    fn named(&mut self, name: &str, at: usize) -> Result<(), Fault> {
        let unknown = || Fault::found(FaultKind::UnknownName, at, name);
        self.next += 1;
        let open = self.peek();
        if open.kind != TokenKind::Open {
            let constant = match name {
                "pi" => Constant::Pi,
                "e" => Constant::E,
                _ if Function::ALL.iter().any(|known| known.name() == name) => {
                    return Err(unexpected(open));
                }
                _ => return Err(unknown()),
            };
            self.emit(Op::Constant(constant), at);
            return Ok(());
        }
        let function =
            Function::ALL.into_iter().find(|known| known.name() == name).ok_or_else(unknown)?;
        let n_arguments = self.arguments()?;
        if !function.takes(n_arguments) {
            return Err(Fault::found(FaultKind::Arguments, at, name));
        }
        self.emit(Op::Call(function, n_arguments), at);
        Ok(())
    }

    /// Arguments in parentheses: how many there are.
    fn arguments(&mut self) -> Result<usize, Fault> {
        let open = self.peek();
        self.next += 1;
        if self.peek().kind == TokenKind::Close {
            self.next += 1;
            return Ok(0);
        }
        let mut n_arguments = 0;
        loop {
            self.nested(Binding::None, open.at)?;
            n_arguments += 1;
            if self.peek().kind != TokenKind::Comma {
                self.close(open.at)?;
                return Ok(n_arguments);
            }
            self.next += 1;
        }
    }

    fn close(&mut self, opened_at: usize) -> Result<(), Fault> {
        let token = self.peek();
        match token.kind {
            TokenKind::Close => {
                self.next += 1;
                Ok(())
            }
            TokenKind::End => Err(Fault::new(FaultKind::NotClosed, opened_at)),
            _ => Err(unexpected(token)),
        }
    }
}
