//! What must not get through the check, next to what just does.

use super::{MAILBOX, check_claim, table, verified};
use crate::router::{Verified, verify};

#[test]
fn numbers_of_a_claim_are_numbers_of_its_quote() {
    let text = "The default capacity of a mailbox is 64 messages.";
    check_claim("A mailbox has a default capacity of 64 messages", text, true);
    check_claim("A mailbox has a default capacity of 65 messages", text, false);
    check_claim("The default capacity of a mailbox is 6 messages", text, false);
    check_claim("The default capacity of a mailbox is 64.5 messages", text, false);
    check_claim("The default capacity of a mailbox is -64 messages", text, false);
    check_claim("The default capacity of a mailbox is sixty messages", text, false);
    check_claim("A mailbox has a default capacity of two hundred messages", text, false);
    check_claim("In 2024 the default capacity of a mailbox was 64 messages", text, false);
    check_claim("The mailbox capacity is 1000 by default", "Default mailbox capacity: 1,000", true);
    check_claim(
        "Every mailbox has 3 lanes of messages",
        "A mailbox has three lanes of messages",
        true,
    );
    // The other way round: more numbers in the passage are no harm.
    check_claim("The mailbox has 64 slots", "The mailbox has 64 slots in 2 lanes.", true);
}

#[test]
fn units_behind_numbers_are_those_of_the_quote() {
    let text = "The restart timeout of an agent is 30 seconds.";
    check_claim("An agent has a restart timeout of 30 seconds", text, true);
    check_claim("An agent has a restart timeout of 30 s", text, true);
    check_claim("An agent has a restart timeout of 30s", text, true);
    check_claim("An agent has a restart timeout of 30 minutes", text, false);
    check_claim("An agent has a restart timeout of 30 ms", text, false);
    check_claim("An agent has a restart timeout of 30%", text, false);
    check_claim("An agent has a restart timeout of 30 s", "Agent restart timeout (ms): 30", false);
    check_claim("An agent has a restart timeout of 30 ms", "Agent restart timeout (ms): 30", true);
    check_claim("The load is 30 percent of agents", "The load of agents is 30%", true);
    check_claim("The first agent wakes a second later", "A second agent wakes later first.", true);
}

#[test]
fn a_denial_supports_no_claim_and_a_claim_no_denial() {
    check_claim("Messages of a mailbox are lost", "Messages of a mailbox are not lost.", false);
    check_claim("Messages of a mailbox are not lost", "Messages of a mailbox are lost.", false);
    check_claim("Mailbox messages aren't lost", "Messages of a mailbox are not lost.", true);
    check_claim("A mailbox loses messages", "A mailbox never loses messages", false);
    check_claim("A restart loses mailbox messages", "A restart loses no mailbox messages", false);
    check_claim("The default is 64", "It is not true that the default is 64.", false);
    check_claim("The default is 64", "The default is 64, not 128.", true);
    check_claim("The default is 64", "It is not 128. The default is 64.", true);
    check_claim("The default is 64", "| form | none |\nThe default is 64", true);
    check_claim("The default is 64", "## No default\nThe default is 64", true);
    check_claim("The default is 64", "If not set, the default is 64.", true);
    check_claim("agents can fly", "I doubt not, but never think that agents can fly.", false);
}

#[test]
fn words_are_found_as_words() {
    check_claim("The default is 64", "The default is 640", false);
    check_claim("The default is 64", "The default is 64.5 of them", false);
    check_claim("The default is 64", "The default is 64,000", false);
    check_claim("The default is 64", "The default is 64% of them", false);
    check_claim("5 degrees outside", "It is -5 degrees outside", false);
    check_claim("4.5 degrees outside", "It is 64.5 degrees outside", false);
    check_claim("The default is 64", "The default is 64.", true);
    check_claim("The default is 64", "the default is 64, always", true);
    check_claim("it is safe", "This vanity is safety", false);
    check_claim("blocking calls fail", "Non-blocking calls fail", false);
    check_claim("it can stop", "it can stop-gap", false);
    check_claim("it says 5 can", "it says 5 can't", false);
    check_claim("2*3 is it", "2*3 is it", true);
    check_claim("this is 23", "this is 2*3", false);
}

#[test]
fn what_says_nothing_is_not_found() {
    for claim in ["The.", "is", "The default", "64", "Paris", "It is", "of the", "bounded."] {
        let text = "The default. It is of the bounded. is 64 Paris";
        let is_supported = claim == "The default";
        check_claim(claim, text, is_supported);
    }
    check_claim("He is 64", "The default is 64", false);
}

#[test]
fn a_marker_without_words_is_nothing() {
    for answer in ["[1]", "[1].", "- [1]", "… [1]", "**[1]**", "", "\n\n", "---", "[1]\n[1], [1]"]
    {
        assert_eq!(verified(answer, &[MAILBOX]), Verified::default(), "{answer:?}");
        let computed = verify(answer, &table(&["1 + 1 = 2"], &[]));
        assert_eq!(computed, Verified::default(), "{answer:?}");
    }
}

#[test]
fn every_sentence_before_a_marker_is_checked_by_itself() {
    let found =
        verified("Every mailbox is bounded. Cats fly. A full mailbox refuses. [1]", &[MAILBOX]);
    assert_eq!(found.text, "Every mailbox is bounded. [1] A full mailbox refuses. [2]");
    assert_eq!(found.objections, ["the cited evidence does not say: Cats fly."]);
    // However long the sentence is that it hides behind.
    let found = verified(
        "A mailbox is bounded, and every full mailbox refuses. cats fly. Dogs bark! [1]",
        &["A bounded mailbox refuses every message when full, and says so."],
    );
    assert_eq!(found.text, "A mailbox is bounded, and every full mailbox refuses. [1]");
    assert_eq!(found.objections.len(), 2);
}

#[test]
fn admissions_need_no_evidence_and_claims_that_begin_like_one_do() {
    for admission in [
        "Not found in the sources: why?",
        "The sources do not answer this question.",
        "The sources don’t say when.",
    ] {
        let found = verified(admission, &[]);
        assert_eq!((&*found.text, &found.admissions[..]), (admission, &[admission.to_owned()][..]));
        let cited = verified(&format!("{admission} [1]"), &[MAILBOX]);
        assert_eq!((&*cited.text, cited.citations.len()), (admission, 0));
    }
    for claim in [
        "The sources do not say so, but cats fly.",
        "The sources do not agree; cats fly.",
        "The sources don't say, while cats fly",
        "Cats fly. The sources agree.",
        "The sources say that cats fly.",
    ] {
        let found = verified(claim, &[]);
        assert_eq!((&*found.text, found.admissions.len()), ("", 0), "{claim}");
    }
    let found = verified("The sources do not say when. Cats fly.", &[]);
    assert_eq!(found.text, "The sources do not say when.");
    assert_eq!(found.objections, ["no evidence is cited for: Cats fly."]);
    let story = format!("The sources do not say {}", "and cats fly ".repeat(50));
    assert_eq!(verified(&story, &[]).text, "");
}
