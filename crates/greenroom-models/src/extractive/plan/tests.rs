//! Tests of `plan`.

use super::*;
use greenroom_core::brief::{AgentCard, Exchange, ToolCard};
use serde_json::json;

fn card(role: &str, description: &str, tools: &[&str]) -> AgentCard {
    let tool = |name: &&str| ToolCard {
        name: (*name).into(),
        description: String::new(),
        parameters: json!({ "properties": { "city": { "type": "string" } }, "required": ["city"] }),
    };
    AgentCard {
        role: role.into(),
        description: description.into(),
        tools: tools.iter().map(tool).collect(),
    }
}

fn brief(question: &str) -> PlanBrief {
    PlanBrief {
        question: question.into(),
        conversation: Vec::new(),
        agents: vec![
            card("research", "answers questions from the documents", &[]),
            card("tools", "runs tools", &["calculate", "date", "weather"]),
            card("translator", "translates sentences between human languages", &[]),
        ],
        tasks_max: 8,
    }
}

/// Tasks as `to: question`, `to: question = arguments <- needs`.
fn written(plan: &Plan) -> Vec<String> {
    plan.tasks
        .iter()
        .map(|task| {
            let call =
                task.call.as_ref().map(|call| format!(" = {} {}", call.tool, call.arguments));
            let needs: String = task.needs.iter().map(|id| format!(" <- {id}")).collect();
            format!("{}: {}{}{needs}", task.to, task.question, call.unwrap_or_default())
        })
        .collect()
}

#[track_caller]
fn check(question: &str, expect: &[&str]) {
    let brief = brief(question);
    let plan = plan(&brief);
    assert_eq!(written(&plan), expect, "{question}");
    let roles: Vec<_> = brief.agents.iter().map(|agent| agent.role.clone()).collect();
    assert_eq!(plan.check(&roles, brief.tasks_max), Ok(()));
}

#[test]
fn a_plain_question_is_one_task() {
    for question in [
        "What is a slot?",
        "Who wrote Romeo and Juliet?",
        "Who is the author of the book that sold most and which film is based on it?",
        "When was the singer born who is known for her voice and who won in 1979?",
        "What is the relationship between agents and slots?",
        "Is it possible to run it on Windows and Linux?",
        "What does `a; what is b?` mean?",
        "tell me about mailboxes",
        "",
    ] {
        check(question, &[&format!("research: {question}")]);
    }
}

#[test]
fn a_question_of_several_parts_is_split() {
    check(
        "What is a slot? Why is it kept?",
        &["research: What is a slot?", "research: Why is a slot kept?"],
    );
    check(
        "What is a slot and how big is it?",
        &["research: What is a slot?", "research: how big is a slot?"],
    );
    check(
        "what is a run; how does the default retry limit work, and why is it bounded?",
        &[
            "research: what is a run?",
            "research: how does the default retry limit work?",
            "research: why is the default retry limit bounded?",
        ],
    );
    check(
        "1. What is a slot?\n2) What is a run?\n- how do they differ?",
        &[
            "research: What is a slot?",
            "research: What is a run?",
            "research: how do a slot and a run differ?",
        ],
    );
    check(
        "1) what is X 2) how does Y start",
        &["research: what is X", "research: how does Y start"],
    );
    check(
        "Explain supervisors and describe what its children are.",
        &["research: Explain supervisors", "research: describe what supervisors' children are."],
    );
    check(
        "What is a slot? What happens to a message that crashes its actor?",
        &[
            "research: What is a slot?",
            "research: What happens to a message that crashes its actor?",
        ],
    );
    check(
        "When was the Halifax site opened, and how many people work there?",
        &[
            "research: When was the Halifax site opened?",
            "research: how many people work at the Halifax site?",
        ],
    );
    check("I use Rust. How do I start?", &["research: I use Rust. How do I start?"]);
    check("Hello! What is a slot? Thanks.", &["research: What is a slot?"]);
}

#[test]
fn things_that_are_compared_are_looked_up_one_by_one() {
    check(
        "Compare mailboxes and the dead letter office",
        &["research: What are mailboxes?", "research: What is the dead letter office?"],
    );
    check(
        "What is the difference between one_for_one and rest_for_one?",
        &["research: What is one_for_one?", "research: What is rest_for_one?"],
    );
    check(
        "How does the runtime differ from the router?",
        &["research: What is the runtime?", "research: What is the router?"],
    );
    check(
        "What are the default capacity and overflow policy of a mailbox?",
        &[
            "research: What is the default capacity of a mailbox?",
            "research: What is the overflow policy of a mailbox?",
        ],
    );
}

#[test]
fn what_can_be_computed_goes_to_the_tools() {
    check(
        "What is 12% of 64?",
        &[r#"tools: What is 12% of 64? = calculate {"expression":"12% of 64"}"#],
    );
    check(
        "what is 4 times the default mailbox capacity",
        &[
            "research: How much is the default mailbox capacity?",
            r#"tools: what is 4 times the default mailbox capacity = calculate {"expression":"4 * {t1}"} <- t1"#,
        ],
    );
    check(
        "What is a slot, and what is the retry limit plus the default capacity?",
        &[
            "research: What is a slot?",
            "research: How much is the retry limit?",
            "research: How much is the default capacity?",
            r#"tools: what is the retry limit plus the default capacity? = calculate {"expression":"{t2} + {t3}"} <- t2 <- t3"#,
        ],
    );
    check(
        "How many days are between 2024-01-01 and March 1, 2024?",
        &[
            r#"tools: How many days are between 2024-01-01 and March 1, 2024? = date {"date":"2024-01-01","operation":"difference","to":"2024-03-01"}"#,
        ],
    );
    check(
        "What day of the week was 4 July 1976?",
        &[
            r#"tools: What day of the week was 4 July 1976? = date {"date":"1976-07-04","operation":"weekday"}"#,
        ],
    );
    check(
        "What date is 2 weeks and 3 days before the 15th of March 2025?",
        &[
            r#"tools: What date is 2 weeks and 3 days before the 15th of March 2025? = date {"date":"2025-03-15","days":-3,"operation":"add","weeks":-2}"#,
        ],
    );
    check(
        "How many days are left until 2026-12-25?",
        &[
            r#"tools: How many days are left until 2026-12-25? = date {"date":"today","operation":"difference","to":"2026-12-25"}"#,
        ],
    );
    check("What was released on 2024-03-01?", &["research: What was released on 2024-03-01?"]);
}

#[test]
fn an_agent_or_a_tool_that_the_words_name_gets_its_part() {
    check(
        "What is a slot, and how would the translator say it?",
        &["research: What is a slot?", "translator: how would the translator say a slot?"],
    );
    check(
        "What is the weather in Oslo?",
        &[r#"tools: What is the weather in Oslo? = weather {"city":"Oslo"}"#],
    );
    check("What is the weather?", &["research: What is the weather?"]);
}

#[test]
fn a_follow_up_takes_its_subject_from_the_conversation() {
    let check = |last: &str, question: &str, expect: &str| {
        let exchange = Exchange { question: last.into(), answer: "It is so.".into() };
        let plan = plan(&PlanBrief { conversation: vec![exchange], ..brief(question) });
        assert_eq!(written(&plan), [format!("research: {expect}")], "{question}");
    };
    check("What is a slot?", "how big is it?", "how big is a slot?");
    check("What is a slot?", "and its default?", "What is a slot's default?");
    check("What is the default mailbox capacity?", "why?", "why (default mailbox capacity)?");
    check("How does a run end?", "What about a task?", "a task (run end)?");
    check("What is a slot?", "What is a mailbox?", "What is a mailbox?");
    check("What is a slot?", "What is a run?", "What is a run?");
}

#[test]
fn a_follow_up_finds_its_subject_through_several_exchanges() {
    let check = |conversation: &[(&str, &str)], question: &str, expect: &str| {
        let exchange = |(question, answer): &(&str, &str)| Exchange {
            question: (*question).into(),
            answer: (*answer).into(),
        };
        let conversation = conversation.iter().map(exchange).collect();
        let plan = plan(&PlanBrief { conversation, ..brief(question) });
        assert_eq!(written(&plan), [format!("research: {expect}")], "{question}");
    };
    let weighed =
        [("What is the Alke?", "It is large."), ("How much does it weigh?", "142 tonnes.")];
    check(&weighed, "and its rated power?", "What is the Alke's rated power?");
    check(&weighed, "Who designed it?", "Who designed the Alke?");
    let chief =
        ("Who is the chief executive of Acme Tidal?", "The chief of Acme Tidal is Amara Okafor.");
    check(&[chief], "When was she born?", "When was Amara Okafor born?");
    check(&[chief], "Who is her husband?", "Who is Amara Okafor's husband?");
    check(&[chief], "Who works for her?", "Who works for Amara Okafor?");
    let born = ("When was she born?", "She was born in Enugu.");
    check(&[chief, born], "Where does she live?", "Where does Amara Okafor live?");
    let born = ("When was Mei Tanaka born?", "In Kyoto Prefecture, on a Monday.");
    check(&[born], "Where does she live?", "Where does Mei Tanaka live?");
}

#[test]
fn a_path_is_a_path_and_no_other_words() {
    let plan_of = |question: &str| {
        let mut brief = brief(question);
        brief.agents[1].tools.push(ToolCard {
            name: "read_file".into(),
            description: String::new(),
            parameters: json!({ "properties": { "path": { "type": "string" } }, "required": ["path"] }),
        });
        written(&plan(&brief))
    };
    for question in
        ["What is the maximum size of a file that is read?", "Who may read a file of Acme Tidal?"]
    {
        assert_eq!(plan_of(question), [format!("research: {question}")]);
    }
    for question in ["Read the file docs/a.md.", "Read the file `docs/a.md`"] {
        let call = r#"read_file {"path":"docs/a.md"}"#;
        assert_eq!(plan_of(question), [format!("tools: {question} = {call}")]);
    }
}

#[test]
fn a_plan_keeps_to_the_team_and_to_its_limit() {
    let plan_of = |agents: Vec<AgentCard>, tasks_max: u32, question: &str| {
        written(&plan(&PlanBrief { agents, tasks_max, ..brief(question) }))
    };
    let three = "What is a slot? What is a run? What is a task?";
    let docs = || vec![card("docs", "", &[])];
    assert_eq!(
        plan_of(docs(), 2, three),
        ["docs: What is a slot?", "docs: What is a run? What is a task?"]
    );
    assert_eq!(plan_of(docs(), 1, "What is 2 + 2?"), ["docs: What is 2 + 2?"]);
    let tools = vec![card("tools", "", &["calculate"])];
    assert_eq!(plan_of(tools.clone(), 1, "What is a slot?"), ["tools: What is a slot?"]);
    let both = || vec![card("research", "", &[]), tools[0].clone()];
    let double = "What is twice the default capacity?";
    assert_eq!(plan_of(both(), 1, double), [format!("research: {double}")]);
    assert_eq!(plan_of(Vec::new(), 4, "What is a slot?"), Vec::<String>::new());
}
