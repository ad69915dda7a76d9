-- The procedure gets the name of what it does: each new table with tenants' rows calls it.
alter procedure ops.wall(regclass) rename to isolate_tenant;
