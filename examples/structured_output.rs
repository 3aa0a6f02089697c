//! A value from a model, without an agent: the type says what is asked for.
use greenroom::{ChatRequest, Extractive, JsonSchema, output, schemars};

#[derive(serde::Deserialize, JsonSchema)]
struct Order {
    /// How many boxes.
    #[schemars(range(min = 1, max = 100))]
    quantity: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Extractive::new();
    let request = ChatRequest::user("Please send 12 boxes to the harbour.");
    let order = output::<Order>().ask(&model, request).await?;
    println!("{} boxes for {} model call", order.value.quantity, order.usage.model_calls);
    Ok(())
}
