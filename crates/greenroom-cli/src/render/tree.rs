//! The live tree: a row for each agent of the run, and the draft of the answer below.

use std::sync::Arc;

use greenroom_core::ids::{AgentId, TaskId};
use greenroom_core::redact::redact;
use greenroom_runtime::RunEvent;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::line::{clipped, count};
use crate::console::{Console, Ink, Palette, printable};

/// The width of the names, in characters.
const NAME_CHARS: usize = 16;

/// How much of a step is shown, in characters.
const STEP_CHARS_MAX: usize = 100;

/// How much of the end of the draft is shown, in characters.
const DRAFT_CHARS_MAX: usize = 400;

/// One row of the tree.
#[derive(Debug)]
struct Row {
    agent: AgentId,
    bar: ProgressBar,
    /// What is known of its last restart, and stays on the screen; empty when there was none.
    restart: String,
}

/// Draws the agents of a run.
#[derive(Debug)]
pub(crate) struct Tree {
    live: MultiProgress,
    palette: Palette,
    /// The roles of the agents that live as long as the team.
    residents: Vec<Arc<str>>,
    title: ProgressBar,
    rows: Vec<Row>,
    draft: ProgressBar,
    draft_text: String,
}

impl Tree {
    pub(super) fn new(console: &Console, residents: Vec<Arc<str>>) -> Self {
        let live = console.live().clone();
        let line = ProgressStyle::with_template("{msg}").expect("the template is well formed");
        let title = live.add(ProgressBar::new_spinner().with_style(line.clone()));
        let draft = live.add(ProgressBar::new_spinner().with_style(line));
        let palette = console.on_stderr;
        let (rows, draft_text) = (Vec::new(), String::new());
        Self { live, palette, residents, title, rows, draft, draft_text }
    }

    pub(super) fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Accepted { run } => {
                let title = self.palette.paint(Ink::Bold, format!("run {}", run.short()));
                // When Ctrl-C is pressed, the terminal writes `^C` behind the last line, and the first
                // line is no longer cleared. It is an empty one, so that nobody sees it.
                self.title.set_message(format!("\n{title}"));
            }
            RunEvent::AgentStarted { agent, generation: 1, .. } => self.add(agent),
            RunEvent::AgentStarted { agent, .. } => self.restarted(agent, "restarted"),
            RunEvent::AgentFailed { agent, reason } => {
                self.show(agent, Ink::Red, &format!("failed: {reason}"));
            }
            RunEvent::AgentResumed { agent, n_calls_kept, .. } => {
                let kept = count(*n_calls_kept, "call");
                self.restarted(agent, &format!("restarted, {kept} kept"));
            }
            RunEvent::AgentFinished { agent } => self.finished(agent),
            RunEvent::Step { agent, step } => self.show(agent, Ink::Dim, step),
            RunEvent::TaskAssigned { task, to, question, .. } if self.is_resident(to) => {
                let row = row_of(to, task);
                self.add(&row);
                self.show(&row, Ink::Dim, question);
            }
            RunEvent::TaskReported { task } => self.reported(task),
            RunEvent::TaskFailed { task, why } => {
                self.reported(task);
                let line = format!("task {task} failed: {why}");
                self.above(self.palette.paint(Ink::Red, printable(&line)).as_ref());
            }
            RunEvent::PersonAsked { pending } => {
                let line = format!("waits for a person: {}", redact(&pending.shown()));
                self.above(self.palette.paint(Ink::Yellow, printable(&line)).as_ref());
            }
            RunEvent::TextDelta { is_answer: true, text, .. } => self.write(text),
            RunEvent::TextReset { .. } => {
                self.draft_text.clear();
                self.draft.set_message("");
            }
            RunEvent::Missed { n_events } => {
                self.above(&format!("{} not shown", count(*n_events, "event")));
            }
            _ => {}
        }
    }

    /// Lets time be seen to pass.
    pub(super) fn tick(&self) {
        for row in self.rows.iter().filter(|row| !row.bar.is_finished()) {
            row.bar.tick();
        }
    }

    pub(super) fn end(&mut self) {
        for bar in
            self.rows.drain(..).map(|row| row.bar).chain([self.title.clone(), self.draft.clone()])
        {
            bar.finish_and_clear();
            self.live.remove(&bar);
        }
    }

    fn add(&mut self, agent: &AgentId) {
        if let Some(last) = self.rows.last() {
            last.bar.set_prefix(self.prefix("├─", &last.agent));
        }
        let bar = ProgressBar::new_spinner()
            .with_style(self.style())
            .with_prefix(self.prefix("└─", agent));
        let bar = self.live.insert_before(&self.draft, bar);
        bar.tick();
        self.rows.push(Row { agent: agent.clone(), bar, restart: String::new() });
    }

    fn show(&self, agent: &AgentId, ink: Ink, text: &str) {
        if let Some(row) = self.row(agent) {
            row.bar.set_message(self.message(row, ink, text));
        }
    }

    fn restarted(&mut self, agent: &AgentId, text: &str) {
        let text = format!("{}  ", self.palette.paint(Ink::Yellow, text));
        if let Some(row) = self.rows.iter_mut().find(|row| row.agent == *agent) {
            row.restart = text;
        }
        self.show(agent, Ink::Dim, "");
    }

    fn finished(&self, agent: &AgentId) {
        if let Some(row) = self.row(agent) {
            row.bar.finish_with_message(self.message(row, Ink::Dim, "done"));
        }
    }

    fn message(&self, row: &Row, ink: Ink, text: &str) -> String {
        let text = clipped(&printable(text), STEP_CHARS_MAX);
        format!("{}{}", row.restart, self.palette.paint(ink, text))
    }

    /// Ends the row of a task that an agent of the team had; those of the run end their own.
    fn reported(&self, task: &TaskId) {
        for role in &self.residents {
            self.finished(&row_of(role, task));
        }
    }

    fn is_resident(&self, role: &str) -> bool {
        self.residents.iter().any(|resident| **resident == *role)
    }

    fn write(&mut self, text: &str) {
        self.draft_text.push_str(&printable(text));
        let n_chars = self.draft_text.chars().count();
        let tail: String =
            self.draft_text.chars().skip(n_chars.saturating_sub(DRAFT_CHARS_MAX)).collect();
        let draft = format!("\n{}", self.palette.paint(Ink::Dim, tail));
        self.draft.set_message(draft);
    }

    fn above(&self, line: &str) {
        // A terminal that has gone away shows nothing more.
        let _ = self.live.println(line);
    }

    fn row(&self, agent: &AgentId) -> Option<&Row> {
        self.rows.iter().find(|row| row.agent == *agent)
    }

    fn prefix(&self, branch: &'static str, agent: &AgentId) -> String {
        let name = clipped(agent.as_str(), NAME_CHARS);
        format!("{} {name:<NAME_CHARS$}", self.palette.paint(Ink::Dim, branch))
    }

    fn style(&self) -> ProgressStyle {
        let took = |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            // Writing to a line of the screen cannot fail.
            let _ = write!(f, "{:.1} s", state.elapsed().as_secs_f64());
        };
        let done = self.palette.paint(Ink::Green, "✓");
        ProgressStyle::with_template("{prefix} {spinner} {wide_msg} {took:>8}")
            .expect("the template is well formed")
            .with_key("took", took)
            .tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", done.as_ref()])
    }
}

/// The row of a task of an agent of the team.
fn row_of(role: &str, task: &TaskId) -> AgentId {
    AgentId::new(format!("{role}-{task}"))
}
