-- What every write of this database uses: idempotency keys and an outbox.

-- First answers by Idempotency-Key, for 24 hours, as in the core database. Written in the transaction of the effect, which
-- is in this database.
create table ops.idempotency (
  tenant_id   text not null,
  route       text not null,
  key         text not null,
  fingerprint bytea not null,
  status      smallint not null,
  headers     jsonb not null default '{}',
  body        text,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  primary key (tenant_id, route, key)
);
call ops.wall('ops.idempotency');
create index idempotency_expiry on ops.idempotency using brin (expires_at);

-- What a write of this database causes elsewhere: CloudEvents to publish, in the transaction of the write. Deleted once the
-- broker has them.
create table ops.outbox (
  id         uuid primary key,
  tenant_id  text not null,
  events     jsonb not null,
  created_at timestamptz not null default now()
);
call ops.wall('ops.outbox');

grant select, insert, update on ops.idempotency to comply_app;
grant select, insert, update, delete on ops.idempotency to comply_jobs;
grant insert on ops.outbox to comply_app;
grant select, insert, delete on ops.outbox to comply_jobs;
