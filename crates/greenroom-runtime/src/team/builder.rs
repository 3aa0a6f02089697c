//! Putting a team together: sources, tools, models and specialists, started side by side.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use greenroom_core::BoxFuture;
use greenroom_core::agent::{AgentSpec, TurnLimits};
use greenroom_core::approval::InDoubt;
use greenroom_core::brief::AgentCard;
use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::model::ChatModel;
use greenroom_core::recovery::{Config, Owner};
use greenroom_core::retriever::Retriever;
use greenroom_core::router::{ANSWER, PLAN, Plan, RouterSpec};
use greenroom_core::supervision::{AdminError, ChildSpec};
use greenroom_core::tool::{Approval, DynTool, ToolSpec};

use super::assembly::{Assembly, Missing, SEARCH, card, describe, search_spec, tool_card};
use super::{Crew, Member, Seat, Team};
use crate::actor::Actor;
use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::retrieval::RetrievalAgent;
use crate::agents::tools::{ToolAgent, ToolSet, approvals, is_free};
use crate::agents::turn::{Timeouts, ToolRoute};
use crate::runtime::Runtime;
use crate::runtime::error::StartError;
use crate::team::prompts;
use crate::team::specialist::{Specialist, Task};

const RESEARCH: &str = "research";
const RETRIEVAL: &str = "retrieval";
const TOOLS: &str = "tools";

type Starting<T> = (String, BoxFuture<'static, Result<T, StartError>>);

/// A team to be put together. [`TeamBuilder::start`] starts its subsystems side by side.
#[must_use]
pub struct TeamBuilder {
    runtime: Runtime,
    name: String,
    model: Option<Arc<dyn ChatModel>>,
    role_models: BTreeMap<&'static str, Arc<dyn ChatModel>>,
    sources: Vec<Starting<Arc<dyn Retriever>>>,
    tools: Vec<Starting<Vec<Arc<dyn DynTool>>>>,
    specialists: Vec<(AgentCard, Specialist)>,
    timeouts: Timeouts,
    limits: TurnLimits,
    in_doubt: InDoubt,
    approvals: BTreeMap<String, Approval>,
    config: Config,
}

impl TeamBuilder {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            name: "team".to_owned(),
            model: None,
            role_models: BTreeMap::new(),
            sources: Vec::new(),
            tools: Vec::new(),
            specialists: Vec::new(),
            timeouts: Timeouts::default(),
            limits: TurnLimits::default(),
            in_doubt: InDoubt::default(),
            approvals: BTreeMap::new(),
            config: Config::new(),
        }
    }

    /// The name by which runs find their team again when another process recovers them. Two teams of one
    /// runtime need different ones for that: the one that was started last is found. Default `team`.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The model of every role that has none of its own.
    pub fn model(mut self, model: impl ChatModel) -> Self {
        self.model = Some(Arc::new(model));
        self
    }

    /// The model of one role: `plan`, `research` or `answer`. Other names are an error of
    /// [`TeamBuilder::start`].
    pub fn role_model(mut self, role: &'static str, model: impl ChatModel) -> Self {
        self.role_models.insert(role, Arc::new(model));
        self
    }

    /// A source of passages for the retrieval agent. With several, rankings are fused.
    pub fn source(self, source: impl Retriever) -> Self {
        let name = source.name().to_owned();
        self.source_when(name, async move { Ok::<_, std::convert::Infallible>(source) })
    }

    /// A source that has to be started first: an index to open, a connection to make.
    pub fn source_when<R, E>(
        mut self,
        name: impl Into<String>,
        source: impl Future<Output = Result<R, E>> + Send + 'static,
    ) -> Self
    where
        R: Retriever,
        E: Error + Send + Sync + 'static,
    {
        let subsystem = format!("source {}", name.into());
        let named = subsystem.clone();
        let started = async move {
            let source = source.await.map_err(|error| StartError::new(named, error))?;
            Ok(Arc::new(source) as Arc<dyn Retriever>)
        };
        self.sources.push((subsystem, Box::pin(started)));
        self
    }

    /// Tools for the tool agent, which research agents can call as well.
    pub fn tools(self, tools: impl IntoIterator<Item = Arc<dyn DynTool>>) -> Self {
        let tools: Vec<_> = tools.into_iter().collect();
        self.tools_when("toolbox", async move { Ok::<_, std::convert::Infallible>(tools) })
    }

    /// Tools that have to be started first.
    pub fn tools_when<E>(
        mut self,
        name: impl Into<String>,
        tools: impl Future<Output = Result<Vec<Arc<dyn DynTool>>, E>> + Send + 'static,
    ) -> Self
    where
        E: Error + Send + Sync + 'static,
    {
        let subsystem = format!("tools {}", name.into());
        let named = subsystem.clone();
        let started = async move { tools.await.map_err(|error| StartError::new(named, error)) };
        self.tools.push((subsystem, Box::pin(started)));
        self
    }

    /// An actor of the application's own that takes tasks. The planner reads the description.
    pub fn specialist<M: Send + 'static>(
        mut self,
        role: impl Into<String>,
        description: impl Into<String>,
        agent: &AgentRef<M>,
        into_message: impl Fn(Task) -> M + Send + Sync + 'static,
    ) -> Self {
        let (role, description) = (role.into(), description.into());
        let card = AgentCard { role, description, tools: Vec::new() };
        self.specialists.push((card, Specialist::new(agent, into_message)));
        self
    }

    /// Limits on the turns of the team's agents.
    pub fn limits(mut self, limits: TurnLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What becomes of an at-most-once call that was cut off. Default: the model is told.
    pub fn in_doubt(mut self, in_doubt: InDoubt) -> Self {
        self.in_doubt = in_doubt;
        self
    }

    /// Which calls of a tool need a person's approval, whatever the tool itself says; `search` is a tool as
    /// well. A name that no tool has is an error of [`TeamBuilder::start`].
    pub fn approval(mut self, tool: impl Into<String>, approval: Approval) -> Self {
        self.approvals.insert(tool.into(), approval);
        self
    }

    /// Adds a part of the application's own to what the team is made of, such as where its documents are. It
    /// is stored with each run, and a run that is continued with another one says so.
    pub fn part(mut self, part: impl Into<String>, is: impl Into<String>) -> Self {
        self.config.name(part, is);
        self
    }

    /// How long one model call may take, from the request to the last token. Default 5 minutes.
    pub fn model_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.model = timeout;
        self
    }

    /// How long one tool call or search may take. Default 1 minute.
    pub fn tool_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.tool = timeout;
        self
    }

    /// Starts sources and tools side by side, then the agents that own them.
    ///
    /// # Errors
    ///
    /// [`StartError`] naming the first subsystem, in the order they were added, that did not start; or
    /// `model` when there is none, `roles` when a role is named twice or does not exist.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons what has not started; agents that have go on until the runtime ends.
    pub async fn start(mut self) -> Result<Team, StartError> {
        let model = self.model.take().ok_or_else(|| StartError::new("model", Missing::Model))?;
        self.check_roles()?;
        let sources = join_all(self.sources.drain(..).map(|(_, source)| source));
        let tools = join_all(self.tools.drain(..).map(|(_, tools)| tools));
        let (sources, tools) = tokio::join!(sources, tools);
        let sources: Vec<_> = sources.into_iter().collect::<Result<_, _>>()?;
        let mut toolset = ToolSet::default();
        for tool in tools.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            toolset.add(tool);
        }
        self.assemble(model, sources, toolset).await
    }

    fn check_roles(&self) -> Result<(), StartError> {
        let own = [PLAN, RESEARCH, ANSWER];
        if let Some(role) = self.role_models.keys().find(|role| !own.contains(role)) {
            return Err(StartError::new("roles", Missing::Role((*role).to_owned())));
        }
        let mut taken: Vec<&str> = vec![PLAN, RESEARCH, ANSWER, RETRIEVAL, TOOLS];
        for (card, _) in &self.specialists {
            if taken.contains(&card.role.as_str()) {
                return Err(StartError::new("roles", Missing::Taken(card.role.clone())));
            }
            taken.push(&card.role);
        }
        Ok(())
    }

    async fn assemble(
        self,
        model: Arc<dyn ChatModel>,
        sources: Vec<Arc<dyn Retriever>>,
        toolset: ToolSet,
    ) -> Result<Team, StartError> {
        let mut plan = Assembly::default();
        let mut config = self.config.clone();
        for source in &sources {
            config.text(format!("source {}", source.name()), source.description());
        }
        if !sources.is_empty() {
            add_retrieval(&self.runtime, self.timeouts.tool, &mut plan, sources).await?;
        }
        if !toolset.specs().is_empty() {
            let timeout = self.timeouts.tool;
            add_tools(&self.runtime, timeout, &self.approvals, &mut plan, toolset).await?;
        }
        plan.require(&self.approvals)?;
        let Assembly { mut cards, mut members, residents, routes, specs, approvals } = plan;
        let (approvals, routes) = (Arc::new(approvals), Arc::new(routes));
        let seat = |role, screen_name, prompt, tools: &[ToolSpec], output| {
            let model = self.role_models.get(role).unwrap_or(&model);
            let spec = AgentSpec {
                instructions: Arc::from(prompt),
                tools: Arc::from(tools),
                output,
                limits: self.limits,
                approvals: Arc::clone(&approvals),
                in_doubt: self.in_doubt,
                ..AgentSpec::new(screen_name)
            };
            Member::Seat(Box::new(Seat {
                role: screen_name,
                spec,
                model: Arc::clone(model),
                tools: Arc::clone(&routes),
                timeouts: self.timeouts,
            }))
        };
        // What is wrong with a plan is told to the planner.
        let plan_output = greenroom_output::shape::<Plan>();
        members.insert(PLAN.into(), seat(PLAN, "planner", prompts::PLAN, &[], Some(plan_output)));
        members.insert(ANSWER.into(), seat(ANSWER, "writer", prompts::ANSWER, &[], None));
        if !specs.is_empty() {
            if cards.iter().all(|card| card.role != RESEARCH) {
                cards.push(card(RESEARCH, "Works on a question with the tools.".to_owned()));
            }
            let agent = seat(RESEARCH, RESEARCH, prompts::RESEARCH, &specs, None);
            members.insert(RESEARCH.into(), agent);
        }
        describe(&mut config, &members);
        for (card, specialist) in self.specialists {
            config.text(format!("specialist {}", card.role), &card.description);
            members.insert(card.role.clone(), Member::Specialist(specialist));
            cards.push(card);
        }
        let crew = Arc::new(Crew {
            owner: Owner::Team(self.name),
            config,
            router: Arc::new(RouterSpec::new(cards)),
            members,
            journal: self.runtime.journal(),
            clock: self.runtime.clock(),
            runtime: self.runtime,
            residents,
        });
        crew.runtime.bind(crew.owner.clone(), &crew);
        Ok(Team { crew })
    }
}

async fn add_retrieval(
    runtime: &Runtime,
    timeout: Duration,
    plan: &mut Assembly,
    sources: Vec<Arc<dyn Retriever>>,
) -> Result<(), StartError> {
    let described = sources.iter().map(|s| format!("{}: {}", s.name(), s.description()));
    let described = described.collect::<Vec<_>>().join("; ");
    plan.cards.push(card(RESEARCH, format!("Finds answers in the documents ({described}).")));
    plan.cards.push(card(RETRIEVAL, "Returns passages for a query, unread.".to_owned()));
    let sources = Arc::from(sources);
    let factory = move || RetrievalAgent::new(Arc::clone(&sources), timeout);
    let (agent, slot) = resident(runtime, RETRIEVAL, factory).await?;
    plan.residents.push(slot);
    plan.routes.insert(SEARCH.to_owned(), ToolRoute::Retrieval(Arc::from([agent.clone()])));
    plan.specs.push(search_spec());
    plan.members.insert(RETRIEVAL.to_owned(), Member::Retrieval(agent));
    Ok(())
}

async fn add_tools(
    runtime: &Runtime,
    timeout: Duration,
    asked: &BTreeMap<String, Approval>,
    plan: &mut Assembly,
    toolset: ToolSet,
) -> Result<(), StartError> {
    let specs = toolset.specs().to_vec();
    // The planner's calls are not journalled one by one. What must not be repeated, or needs a person, is
    // called by agents that have a stream of their own.
    let is_free = |spec: &&ToolSpec| {
        let asks_nobody = asked.get(&spec.name).is_none_or(Approval::is_none);
        asks_nobody && toolset.get(&spec.name).is_some_and(|tool| is_free(&**tool))
    };
    let tools: Vec<_> = specs.iter().filter(is_free).map(tool_card).collect();
    if !tools.is_empty() {
        let description = "Calls a tool.".to_owned();
        plan.cards.push(AgentCard { role: TOOLS.to_owned(), description, tools });
    }
    plan.approvals = approvals(toolset.tools());
    let toolset = Arc::new(toolset);
    let factory = move || ToolAgent::new(Arc::clone(&toolset), timeout);
    let (agent, slot) = resident(runtime, TOOLS, factory).await?;
    plan.residents.push(slot);
    for spec in &specs {
        plan.routes.insert(spec.name.clone(), ToolRoute::ToolAgent(agent.clone()));
    }
    plan.specs.extend(specs);
    plan.members.insert(TOOLS.to_owned(), Member::Tools(agent));
    Ok(())
}

/// Starts an agent that lives as long as the runtime. Two teams of one runtime have agents of their
/// own, so the second one's have a number.
async fn resident<A: Actor>(
    runtime: &Runtime,
    role: &str,
    factory: impl Fn() -> A + Send + Sync + Clone + 'static,
) -> Result<(AgentRef<A::Message>, Arc<dyn AnySlot>), StartError> {
    const TEAMS_MAX: usize = 1000;
    for i in 1..=TEAMS_MAX {
        let id = if i == 1 { AgentId::from(role) } else { format!("{role}-{i}").into() };
        let mailbox = MailboxSpec { capacity: 1024, ..internal_mailbox() };
        let started = runtime.resident(ChildSpec::worker(id), role, mailbox, factory.clone()).await;
        match started {
            Ok(slot) => {
                return Ok((AgentRef::new(Arc::clone(&slot)), slot as Arc<dyn AnySlot>));
            }
            Err(AdminError::AlreadyStarted { .. } | AdminError::AlreadyPresent) => {}
            Err(error) => return Err(StartError::new(format!("agent {role}"), error)),
        }
    }
    Err(StartError::new(format!("agent {role}"), AdminError::AlreadyPresent))
}

impl fmt::Debug for TeamBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeamBuilder")
            .field("n_sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}
