//! The check of an answer against its evidence: every sentence must be found in what it cites.
//!
//! The check reads text and no model: a claim that is not there is taken out whoever made it. Lines and
//! quotes of citations are computed here, so a model cannot get them wrong. It compares words and not
//! meanings; what it cannot see is in the table of [`verify`].

mod claims;
mod fold;
mod quote;
mod terms;

use self::claims::{Claim, claims, is_admission, split_prefix};
use self::fold::{Folded, sentences};
use self::quote::Cited;
use super::evidence::EvidenceTable;
use crate::brief::Finding;
use crate::retriever::Citation;

pub(super) use self::claims::without_marks;

/// An answer that was checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verified {
    /// The sentences that are supported, with citations numbered from 1 in order of appearance.
    pub text: String,
    /// The citations.
    pub citations: Vec<Citation>,
    /// What is wrong with the sentences that were taken out.
    pub objections: Vec<String>,
    /// The kept sentences that say that something was not found.
    pub admissions: Vec<String>,
}

/// Checks an answer whose sentences end with evidence numbers in brackets.
///
/// | sentence | result |
/// |---|---|
/// | is in a cited passage word for word | kept; the quote is the sentence |
/// | has at least 60 % of its words in one sentence of a cited passage | kept; the quote is that sentence |
/// | is in the cited result of a tool, or contains all of it | kept without a citation |
/// | cites a passage and a result which together have 60 % of its words | kept; the quote is the passage's sentence |
/// | says that something was not found | kept, as an admission |
/// | cites nothing, a number that does not exist, or text that does not support it | taken out, with an objection |
/// | has no letter and no digit | dropped |
///
/// A marker stands for every sentence since the marker before it, and each of them is checked by itself.
/// `[1][2]`, `[1, 2]` and `[1] and [2]` are markers; `[0]`, `[x]`, `[1](url)` and what is in a code span
/// are text.
///
/// Words are compared in lower case, without Markdown's `*`, `_` and `` ` ``, with white space folded.
/// *Word for word* is between word boundaries (`64` is not in `64.5`, `-64`, `640` or `64%`), has two words
/// and one of meaning (four letters, or a number), and is not preceded by a negation in its clause. *Words
/// of it* are at least two words of meaning; besides, every number of the claim and every unit behind one
/// must be there, and both sides must be negated or neither. A claim that contains a tool's result has no
/// number that results which it cites have not.
///
/// What passes although it should not: a paraphrase with another word in place of one in three, two
/// numbers that changed places, words put around a tool's result.
#[must_use]
pub fn verify(answer: &str, table: &EvidenceTable) -> Verified {
    let mut check = Check { table, verified: Verified::default() };
    for line in answer.lines() {
        let (prefix, body) = split_prefix(line.trim());
        check.paragraph(prefix, &claims(body));
    }
    check.verified
}

/// Checks what tasks found, sentence by sentence, each against the evidence of its task. The finding of
/// a task that gathered no evidence stands as the word of its agent.
pub(super) fn verify_findings(findings: &[Finding], table: &EvidenceTable) -> Verified {
    let mut check = Check { table, verified: Verified::default() };
    for finding in findings {
        if finding.evidence.is_empty() {
            check.push_paragraph("", finding.text.trim());
            continue;
        }
        for line in finding.text.lines() {
            let (prefix, text) = split_prefix(line.trim());
            let numbers = finding.evidence.clone();
            check.paragraph(prefix, &[Claim { text, numbers, end: "" }]);
        }
    }
    check.verified
}

struct Check<'a> {
    table: &'a EvidenceTable,
    verified: Verified,
}

impl Check<'_> {
    fn paragraph(&mut self, prefix: &str, claims: &[Claim<'_>]) {
        let mut kept = Vec::new();
        for claim in claims {
            let cited = Cited::new(&claim.numbers, self.table);
            let pieces = pieces(claim.text, &cited);
            for (i, piece) in pieces.iter().enumerate() {
                let end = if i + 1 == pieces.len() { claim.end } else { "" };
                kept.extend(self.piece(piece, end, claim, &cited));
            }
        }
        let text = kept.join(" ");
        // What came behind a comma may have been taken out.
        let text = match text.strip_suffix([',', ';', ':']) {
            Some(cut) => format!("{cut}."),
            None => text,
        };
        self.push_paragraph(prefix, &text);
    }

    fn push_paragraph(&mut self, prefix: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let so_far = &mut self.verified.text;
        if !so_far.is_empty() {
            so_far.push_str("\n\n");
        }
        so_far.push_str(prefix);
        so_far.push_str(text);
    }

    /// One sentence of a claim as it stays in the answer, if it does.
    fn piece(
        &mut self,
        text: &str,
        end: &str,
        claim: &Claim<'_>,
        cited: &Cited<'_>,
    ) -> Option<String> {
        if !text.contains(char::is_alphanumeric) {
            return None;
        }
        if let Some(citations) = cited.support(&Folded::new(text)) {
            let numbers = citations.into_iter().map(|citation| self.number_of(citation));
            let marks: String = numbers.map(|n| format!("[{n}]")).collect();
            let space = if marks.is_empty() { "" } else { " " };
            return Some(format!("{text}{space}{marks}{end}"));
        }
        if is_admission(text) {
            self.verified.admissions.push(text.to_owned());
            return Some(format!("{text}{end}"));
        }
        self.verified.objections.push(if claim.numbers.is_empty() {
            format!("no evidence is cited for: {text}")
        } else if cited.is_empty() {
            format!("there is no evidence {:?}, which is cited for: {text}", claim.numbers)
        } else {
            format!("the cited evidence does not say: {text}")
        });
        None
    }

    fn number_of(&mut self, citation: Citation) -> usize {
        let citations = &mut self.verified.citations;
        match citations.iter().position(|known| *known == citation) {
            Some(i) => i + 1,
            None => {
                citations.push(citation);
                citations.len()
            }
        }
    }
}

/// What of a claim is checked by itself: all of it when the evidence has it so, else its sentences.
fn pieces<'a>(claim: &'a str, cited: &Cited<'_>) -> Vec<&'a str> {
    let spans = sentences(claim);
    if spans.len() > 1 && cited.has(&Folded::new(claim)) {
        return vec![claim];
    }
    spans.into_iter().map(|span| &claim[span]).collect()
}
