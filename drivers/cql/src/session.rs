//! A session: the driver's, with a runtime of its own and a bound on what is under way.

use crate::failure::{self, Status};
use crate::reply::{Cell, NULL, Reply, UNSET};
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::OpenSsl010Config;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::ExecutionError;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::{DefaultRetryPolicy, FallthroughRetryPolicy, RetryPolicy};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency, Statement};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub struct Options<'a> {
    pub contact_points: &'a str,
    pub keyspace: Option<&'a str>,
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
    pub local_datacenter: Option<&'a str>,
    pub tls: bool,
    pub tls_ca: Option<&'a str>,
    pub tls_cert: Option<&'a str>,
    pub tls_key: Option<&'a str>,
    pub connect_timeout_ms: u32,
    pub request_timeout_ms: u32,
    pub max_in_flight: u32,
}

/// enum pc_trait
const IDEMPOTENT: u32 = 1;
const SERIAL_READ: u32 = 2;

pub struct Prepared(PreparedStatement);

/// The values of one statement, as the wire wants them.
struct Values(Vec<Option<Box<[u8]>>>, Vec<bool>);

pub struct Call {
    statement: PreparedStatement,
    values: Values,
}

pub struct Session {
    driver: Arc<scylla::client::session::Session>,
    under_way: Arc<AtomicU32>,
    max_in_flight: u32,
    runtime: Option<tokio::runtime::Runtime>,
}

impl SerializeRow for Values {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter) -> Result<(), SerializationError> {
        for (value, unset) in self.0.iter().zip(&self.1) {
            let cell = writer.make_cell_writer();
            match value {
                Some(bytes) => drop(cell.set_value(bytes).map_err(SerializationError::new)?),
                None if *unset => drop(cell.set_unset()),
                None => drop(cell.set_null()),
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Call {
    pub fn new(statement: &Prepared, cells: &[Cell]) -> Call {
        let values = cells.iter().map(|cell| match cell.size {
            NULL | UNSET => None,
            0 => Some(Box::default()),
            size => Some(unsafe { std::slice::from_raw_parts(cell.data, size as usize) }.into()),
        });
        let unset = cells.iter().map(|cell| cell.size == UNSET);
        Call { statement: statement.0.clone(), values: Values(values.collect(), unset.collect()) }
    }
}

fn tls_of(options: &Options) -> Result<OpenSsl010Config, (Status, String)> {
    let invalid = |what: &str, error: openssl::error::ErrorStack| (Status::Invalid, format!("{what}: {error}"));
    let mut tls = SslConnector::builder(SslMethod::tls_client()).map_err(|error| invalid("TLS", error))?;
    tls.set_verify(SslVerifyMode::PEER);
    if let Some(file) = options.tls_ca {
        tls.set_ca_file(file).map_err(|error| invalid(file, error))?;
    }
    if let Some(file) = options.tls_cert {
        tls.set_certificate_chain_file(file).map_err(|error| invalid(file, error))?;
    }
    if let Some(file) = options.tls_key {
        tls.set_private_key_file(file, SslFiletype::PEM).map_err(|error| invalid(file, error))?;
    }
    Ok(OpenSsl010Config::new(tls))
}

/// To replicas in the local datacenter, and to no other: LOCAL_QUORUM is of the datacenter of who is asked.
fn profile_of(options: &Options) -> ExecutionProfile {
    let mut policy = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    if let Some(datacenter) = options.local_datacenter {
        policy = policy.prefer_datacenter(datacenter.to_string());
    }
    ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(Duration::from_millis(options.request_timeout_ms.into())))
        .load_balancing_policy(policy.build())
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build()
}

impl Session {
    pub fn connect(options: &Options) -> Result<Session, (Status, String)> {
        let mut builder = SessionBuilder::new()
            .known_nodes(options.contact_points.split(','))
            .default_execution_profile_handle(profile_of(options).into_handle())
            .pool_size(PoolSize::PerShard(1.try_into().expect("not zero")))
            .connection_timeout(Duration::from_millis(options.connect_timeout_ms.into()))
            .schema_agreement_timeout(Duration::from_secs(30));
        if options.tls {
            builder = builder.tls_context(Some(tls_of(options)?));
        }
        if let Some(user) = options.user {
            builder = builder.user(user, options.password.unwrap_or(""));
        }
        if let Some(keyspace) = options.keyspace {
            builder = builder.use_keyspace(keyspace, false);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cql")
            .enable_all()
            .build()
            .map_err(|error| (Status::Unavailable, format!("no thread: {error}")))?;
        let driver = runtime.block_on(builder.build()).map_err(|error| (failure::of_connect(&error), error.to_string()))?;
        Ok(Session {
            driver: Arc::new(driver),
            under_way: Arc::default(),
            max_in_flight: options.max_in_flight,
            runtime: Some(runtime),
        })
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().expect("there until dropped")
    }

    pub fn datacenters(&self) -> String {
        let mut counts = BTreeMap::new();
        for node in self.driver.get_cluster_state().get_nodes_info() {
            *counts.entry(node.datacenter.clone().unwrap_or_default()).or_insert(0) += 1;
        }
        let texts: Vec<String> = counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
        texts.join(",")
    }

    pub fn run(&self, text: &str) -> Result<(), (Status, String)> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(Duration::from_secs(60))); // the schema takes its time
        let done = self.runtime().block_on(self.driver.query_unpaged(statement, ()));
        done.map(|_| ()).map_err(|error| (failure::of_execution(&error), failure::text_of_execution(&error)))
    }

    pub fn prepare(&self, text: &str, traits: u32, page_size: i32) -> Result<Prepared, (Status, String)> {
        let prepared = self.runtime().block_on(self.driver.prepare(text));
        let mut statement = prepared.map_err(|error| (failure::of_prepare(&error), failure::text_of_prepare(&error)))?;
        statement.set_page_size(page_size);
        if traits & IDEMPOTENT != 0 {
            statement.set_is_idempotent(true);
            statement.set_retry_policy(Some(retries()));
        }
        if traits & SERIAL_READ != 0 {
            statement.set_consistency(Consistency::LocalSerial);
        }
        Ok(Prepared(statement))
    }

    /// `done` is called once, on the runtime's thread, unless the bound is reached.
    pub fn execute(&self, calls: Vec<Call>, page: Option<PagingState>, done: impl FnOnce(Reply) + Send + 'static) -> Status {
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= self.max_in_flight {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            return Status::Full;
        }
        let (driver, under_way) = (self.driver.clone(), self.under_way.clone());
        self.runtime().spawn(async move {
            let reply = match carry_out(&driver, calls, page).await {
                Ok(reply) => reply,
                Err(error) => Reply::failed(failure::of_execution(&error), &failure::text_of_execution(&error)),
            };
            drop(driver);
            under_way.fetch_sub(1, Ordering::Relaxed);
            done(reply);
        });
        Status::Ok
    }
}

/// Of what may be done twice. The rest is never sent again: what became of it is found out by reading.
fn retries() -> Arc<dyn RetryPolicy> {
    Arc::new(DefaultRetryPolicy::new())
}

type Driver = scylla::client::session::Session;

async fn carry_out(driver: &Driver, mut calls: Vec<Call>, page: Option<PagingState>) -> Result<Reply, ExecutionError> {
    if calls.len() == 1
        && let Some(call) = calls.pop()
    {
        let (result, page) = driver.execute_single_page(&call.statement, call.values, page.unwrap_or_default()).await?;
        return Ok(Reply::of(result, page));
    }
    let mut batch = Batch::new(BatchType::Unlogged);
    let idempotent = calls.iter().all(|call| call.statement.get_is_idempotent());
    batch.set_is_idempotent(idempotent);
    if idempotent {
        batch.set_retry_policy(Some(retries()));
    }
    let mut values = Vec::with_capacity(calls.len());
    for call in calls {
        batch.append_statement(call.statement);
        values.push(call.values);
    }
    Ok(Reply::of(driver.batch(&batch, values).await?, PagingStateResponse::NoMorePages))
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}
