import type pg from "pg";

/** One of this many notifications is lost. */
const oneIn = 10;

/**
 * Have every connection that is made from now on lose some of its notifications, although it
 * lives: `pg_notify` is found in a schema before PostgreSQL's own. (That one transaction sends
 * another again cannot be had here, as PostgreSQL sends what is the same once.)
 */
export async function installLossyNotify(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create schema chaos;
    create sequence chaos.lost_notifications;
    create function chaos.pg_notify(channel text, payload text) returns void language plpgsql as $$
    begin
      if random() < 1.0 / ${oneIn} then
        perform nextval('chaos.lost_notifications');
      else
        perform pg_catalog.pg_notify(channel, payload);
      end if;
    end
    $$;
    do $$ begin
      execute format('alter database %I set search_path = chaos, pg_catalog, public', current_database());
    end $$;
  `);
}

export async function lostNotifications(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ lost: number }>(
    "select case when is_called then last_value else 0 end::integer as lost from chaos.lost_notifications",
  );
  return rows[0]?.lost ?? 0;
}
