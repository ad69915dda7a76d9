-- Nothing calls it: policies and statements read the setting themselves.
drop function ops.current_tenant();
