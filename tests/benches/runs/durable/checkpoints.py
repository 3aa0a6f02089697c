"""The conversation of the bench with LangGraph, its checkpoints in SQLite. Prints milliseconds.

pip install langgraph==1.2.24 langgraph-checkpoint-sqlite==3.1.2
LANGGRAPH_PYTHON=PYTHON cargo bench -p greenroom-tests --bench runs -- langgraph
"""

import sqlite3
import sys
import time

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph

durability, n_turns, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
FOUND = "A mailbox holds 64 messages. " * 20


def model(state):
    n = sum(isinstance(message, ToolMessage) for message in state["messages"])
    if n == n_turns:
        return {"messages": [AIMessage("It is done.")]}
    args = {"query": f"the capacity of mailbox {n}", "top_k": 8}
    call = {"name": "look", "args": args, "id": f"call_{n}"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def look(state):
    return {"messages": [ToolMessage(FOUND, tool_call_id=state["messages"][-1].tool_calls[0]["id"])]}


graph = StateGraph(MessagesState)
graph.add_node("model", model)
graph.add_node("look", look)
graph.add_edge(START, "model")
graph.add_conditional_edges("model", lambda state: "look" if state["messages"][-1].tool_calls else END)
graph.add_edge("look", "model")
connection = sqlite3.connect(f"{directory}/checkpoints.db", check_same_thread=False)
app = graph.compile(checkpointer=SqliteSaver(connection))


def converse(thread):
    config = {"configurable": {"thread_id": thread}, "recursion_limit": 1000}
    state = app.invoke({"messages": [HumanMessage("Go on.")]}, config, durability=durability)
    assert state["messages"][-1].content == "It is done."


converse("warm")
begun = time.perf_counter()
converse("measured")
print((time.perf_counter() - begun) * 1e3)
