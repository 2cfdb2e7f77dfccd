-- Made by the migrations; written by: UPDATE_SCHEMA=1 npm test -- src/db/migrate

-- tables

audit_details (table)
  audit_id uuid not null
  user_id uuid not null
  key_id uuid
  content bytea not null

audit_log (table)
  id uuid not null
  at timestamp with time zone not null default now()
  actor_id uuid
  action text not null
  subject_id uuid not null
  facts jsonb not null default '{}'::jsonb
  details_hash bytea

blocks (table)
  blocker_id uuid not null
  blocked_id uuid not null
  created_at timestamp with time zone not null default now()
  cut_follow text
  cut_followed text

connections (unlogged table)
  id text not null
  user_id uuid not null
  pod_id uuid not null
  status text not null

count_deltas (table)
  id bigint not null identity
  user_id uuid not null
  followers smallint not null
  following smallint not null

credentials (table)
  user_id uuid not null
  password_hash text not null
  must_change boolean not null default false
  changed_at timestamp with time zone not null default now()

declared_restrictions (table)
  source text not null
  external_id text not null
  uid text not null
  object_created_at timestamp with time zone not null
  generation bigint not null
  content_hash bytea
  reference_hash bytea
  user_id uuid
  email_hash bytea
  wish jsonb
  restriction_id uuid
  first_enforced_at timestamp with time zone
  sessions_revoked integer not null default 0
  ended_at timestamp with time zone
  ended_how text
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()

feed_epoch (table)
  only_one boolean not null default true
  epoch uuid not null default gen_random_uuid()

follow_counts (table)
  user_id uuid not null
  followers_count bigint not null default 0
  following_count bigint not null default 0

follows (table)
  follower_id uuid not null
  followee_id uuid not null
  state text not null
  edge_version bigint not null default 1
  created_at timestamp with time zone not null default now()
  changed_at timestamp with time zone not null default now()

former_usernames (table)
  id uuid not null
  user_id uuid not null
  username text not null
  left_at timestamp with time zone not null default now()
  kept_until timestamp with time zone not null

identities (table)
  id uuid not null
  provider text not null
  issuer text not null
  subject text not null
  user_id uuid not null
  email text
  linked_at timestamp with time zone not null default now()
  last_used_at timestamp with time zone

inbox (table)
  consumer text not null
  source text not null
  event_id text not null
  verdict text not null
  reason text
  attempts integer not null default 1
  topic text not null
  type text not null
  subject text
  event json
  received_at timestamp with time zone not null default now()
  digest bytea

jobs (table)
  id uuid not null
  kind text not null
  key text
  payload jsonb not null
  state text not null default 'waiting'::text
  due_at timestamp with time zone not null
  attempts integer not null default 0
  fence bigint not null default 0
  last_error text
  created_at timestamp with time zone not null default now()
  finished_at timestamp with time zone

last_seen (table)
  user_id uuid not null
  seen_at timestamp with time zone not null

mailbox (table)
  message_id text not null
  recipient text not null
  subject text not null
  text_body text not null
  html_body text not null
  sent_at timestamp with time zone not null default now()

mutes (table)
  muter_id uuid not null
  muted_id uuid not null
  until timestamp with time zone
  notifications boolean not null
  created_at timestamp with time zone not null default now()

notices (table)
  id uuid not null
  user_id uuid not null
  type text not null
  data jsonb not null
  created_at timestamp with time zone not null default now()
  read_at timestamp with time zone

one_time_tokens (table)
  id uuid not null
  purpose text not null
  user_id uuid
  email text not null
  data jsonb not null default '{}'::jsonb
  tries smallint not null default 0
  created_at timestamp with time zone not null default now()
  expires_at timestamp with time zone not null
  used_at timestamp with time zone

outbox (table)
  id uuid not null
  topic text not null
  type text not null
  subject uuid not null
  user_version bigint not null
  data jsonb not null
  traceparent text
  occurred_at timestamp with time zone not null default now()
  due_at timestamp with time zone not null default now()
  attempts integer not null default 0
  fence bigint not null default 0
  last_error text
  done_at timestamp with time zone
  received boolean not null default false
  awaits_confirmation boolean not null default false

passkeys (table)
  id bytea not null
  user_id uuid not null
  public_key bytea not null
  counter bigint not null
  transports text[] not null default '{}'::text[]
  name text not null
  aaguid uuid
  backed_up boolean not null
  created_at timestamp with time zone not null default now()
  last_used_at timestamp with time zone

pods (unlogged table)
  id uuid not null
  lease_until timestamp with time zone not null

presence_states (unlogged table)
  user_id uuid not null
  status text not null
  seq bigint not null
  xact_id xid8 not null default pg_current_xact_id()

privacy_settings (table)
  user_id uuid not null
  profile text not null default 'everyone'::text
  email text not null default 'nobody'::text
  followers_list text not null default 'everyone'::text
  following_list text not null default 'everyone'::text
  last_seen text not null default 'everyone'::text
  typing text not null default 'everyone'::text
  discoverable text not null default 'everyone'::text
  messages text not null default 'everyone'::text
  require_follow_approval boolean not null default false
  updated_at timestamp with time zone not null default now()

recovery_codes (table)
  user_id uuid not null
  mac bytea not null
  used_at timestamp with time zone
  created_at timestamp with time zone not null default now()

refresh_tokens (table)
  session_id uuid not null
  generation integer not null default 0
  token_hash bytea not null
  made_at timestamp with time zone not null default now()
  parent_hash bytea
  sealed bytea
  grandparent_hash bytea
  parent_sealed bytea

restrictions (table)
  id uuid not null
  user_id uuid not null
  kind text not null
  capabilities text[] not null default '{}'::text[]
  reason text not null
  reason_policy text not null
  message text
  imposed_by uuid
  starts_at timestamp with time zone not null default now()
  expires_at timestamp with time zone
  lifted_at timestamp with time zone
  lifted_by uuid
  lift_note text
  start_announced_at timestamp with time zone
  end_announced_at timestamp with time zone
  created_at timestamp with time zone not null default now()

revocations (table)
  id bigint not null identity
  xact_id xid8 not null default pg_current_xact_id()
  subject uuid not null
  session_id uuid
  reason text not null
  created_at timestamp with time zone not null default now()

sessions (table)
  id uuid not null
  user_id uuid not null
  user_agent text not null default ''::text
  address text not null default ''::text
  restricted boolean not null default false
  created_at timestamp with time zone not null default now()
  last_seen_at timestamp with time zone not null default now()
  expires_at timestamp with time zone not null
  revoked_at timestamp with time zone
  revoked_reason text
  name text
  authenticated_at timestamp with time zone
  impersonator_id uuid
  impersonator_session_id uuid

sidecar_state (unlogged table)
  key text not null
  value json not null
  etag uuid not null default gen_random_uuid()
  expires_at timestamp with time zone

social_profiles (table)
  user_id uuid not null
  version bigint not null
  posts_count bigint not null
  reactions_count bigint
  source_time timestamp with time zone not null
  received_at timestamp with time zone not null default now()

suggestion_dismissals (table)
  user_id uuid not null
  dismissed_id uuid not null
  until timestamp with time zone not null

sweeps (table)
  name text not null
  due_at timestamp with time zone not null default now()
  fence bigint not null default 0
  last_run_at timestamp with time zone
  last_error text

tie_changes (table)
  id bigint not null identity
  xact_id xid8 not null default pg_current_xact_id()
  one_id uuid not null
  other_id uuid
  created_at timestamp with time zone not null default now()

totp_factors (table)
  user_id uuid not null
  sealed bytea not null
  kid text not null
  confirmed_at timestamp with time zone
  last_step bigint not null default 0
  created_at timestamp with time zone not null default now()

trusted_devices (table)
  id uuid not null
  user_id uuid not null
  device_hash bytea not null
  label text
  created_at timestamp with time zone not null default now()
  expires_at timestamp with time zone not null
  last_used_at timestamp with time zone

user_preferences (table)
  user_id uuid not null
  version integer not null
  data jsonb not null
  updated_at timestamp with time zone not null default now()

user_versions (table)
  user_id uuid not null
  version bigint not null default 0
  private_version bigint not null default 0

users (table)
  id uuid not null
  username text not null
  email text not null
  display_name text not null
  avatar_url text
  bio text not null default ''::text
  roles text[] not null default '{user}'::text[]
  status text not null default 'active'::text
  status_valid_until timestamp with time zone
  limited text[] not null default '{}'::text[]
  sessions_valid_from timestamp with time zone not null default '-infinity'::timestamp with time zone
  version bigint not null default 1
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  email_verified_at timestamp with time zone
  locale text not null default 'en'::text
  details jsonb not null default '{}'::jsonb

-- constraints

audit_details audit_details_audit_id_fkey FOREIGN KEY (audit_id) REFERENCES audit_log(id)

audit_details audit_details_pkey PRIMARY KEY (audit_id)

audit_log audit_log_action_check CHECK ((action ~ '^[a-z_]+\.[a-z_]+$'::text))

audit_log audit_log_details_hash_check CHECK ((octet_length(details_hash) = 32))

audit_log audit_log_facts_check CHECK ((jsonb_typeof(facts) = 'object'::text))

audit_log audit_log_pkey PRIMARY KEY (id)

blocks blocks_check CHECK ((blocker_id <> blocked_id))

blocks blocks_cut_follow_check CHECK ((cut_follow = ANY (ARRAY['requested'::text, 'accepted'::text])))

blocks blocks_cut_followed_check CHECK ((cut_followed = ANY (ARRAY['requested'::text, 'accepted'::text])))

blocks blocks_pkey PRIMARY KEY (blocker_id, blocked_id)

connections connections_pkey PRIMARY KEY (id)

connections connections_status_check CHECK ((status = ANY (ARRAY['online'::text, 'away'::text])))

count_deltas count_deltas_pkey PRIMARY KEY (id)

credentials credentials_pkey PRIMARY KEY (user_id)

credentials credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

declared_restrictions declared_restrictions_check CHECK (((ended_at IS NULL) = (ended_how IS NULL)))

declared_restrictions declared_restrictions_check1 CHECK (((email_hash IS NULL) = (wish IS NULL)))

declared_restrictions declared_restrictions_check2 CHECK (((ended_at IS NOT NULL) OR ((user_id IS NULL) = (email_hash IS NOT NULL))))

declared_restrictions declared_restrictions_check3 CHECK (((ended_at IS NOT NULL) OR ((content_hash IS NOT NULL) AND (reference_hash IS NOT NULL))))

declared_restrictions declared_restrictions_ended_how_check CHECK ((ended_how = ANY (ARRAY['lifted'::text, 'kept'::text])))

declared_restrictions declared_restrictions_pkey PRIMARY KEY (source, external_id, uid)

declared_restrictions declared_restrictions_restriction_id_fkey FOREIGN KEY (restriction_id) REFERENCES restrictions(id) ON DELETE SET NULL

feed_epoch feed_epoch_only_one_check CHECK (only_one)

feed_epoch feed_epoch_pkey PRIMARY KEY (only_one)

follow_counts follow_counts_pkey PRIMARY KEY (user_id)

follows follows_check CHECK ((follower_id <> followee_id))

follows follows_pkey PRIMARY KEY (follower_id, followee_id)

follows follows_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'accepted'::text, 'gone'::text])))

former_usernames former_usernames_pkey PRIMARY KEY (id)

identities identities_pkey PRIMARY KEY (id)

identities identities_subject UNIQUE (provider, subject)

identities identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

inbox inbox_pkey PRIMARY KEY (consumer, source, event_id)

inbox inbox_verdict_check CHECK ((verdict = ANY (ARRAY['SUCCESS'::text, 'RETRY'::text, 'DROP'::text, 'DEAD'::text])))

jobs jobs_kind_key_key UNIQUE (kind, key)

jobs jobs_pkey PRIMARY KEY (id)

jobs jobs_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'dead'::text])))

last_seen last_seen_pkey PRIMARY KEY (user_id)

last_seen last_seen_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

mailbox mailbox_pkey PRIMARY KEY (message_id)

mutes mutes_check CHECK ((muter_id <> muted_id))

mutes mutes_pkey PRIMARY KEY (muter_id, muted_id)

notices notices_data_check CHECK ((jsonb_typeof(data) = 'object'::text))

notices notices_pkey PRIMARY KEY (id)

notices notices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

one_time_tokens one_time_tokens_pkey PRIMARY KEY (id)

one_time_tokens one_time_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

outbox outbox_pkey PRIMARY KEY (id)

outbox outbox_topic_subject_user_version_key UNIQUE (topic, subject, user_version)

passkeys passkeys_id_check CHECK (((octet_length(id) >= 1) AND (octet_length(id) <= 1023)))

passkeys passkeys_pkey PRIMARY KEY (id)

passkeys passkeys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

pods pods_pkey PRIMARY KEY (id)

presence_states presence_states_pkey PRIMARY KEY (user_id)

presence_states presence_states_status_check CHECK ((status = ANY (ARRAY['online'::text, 'away'::text, 'offline'::text])))

privacy_settings privacy_settings_discoverable_check CHECK ((discoverable = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_email_check CHECK ((email = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_followers_list_check CHECK ((followers_list = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_following_list_check CHECK ((following_list = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_last_seen_check CHECK ((last_seen = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_messages_check CHECK ((messages = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_pkey PRIMARY KEY (user_id)

privacy_settings privacy_settings_profile_check CHECK ((profile = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

privacy_settings privacy_settings_typing_check CHECK ((typing = ANY (ARRAY['everyone'::text, 'followers'::text, 'nobody'::text])))

recovery_codes recovery_codes_pkey PRIMARY KEY (user_id, mac)

recovery_codes recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

refresh_tokens refresh_tokens_pkey PRIMARY KEY (session_id)

refresh_tokens refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE

restrictions restrictions_check CHECK (((lifted_at IS NULL) = (lift_note IS NULL)))

restrictions restrictions_check1 CHECK (((expires_at IS NULL) OR (expires_at > starts_at)))

restrictions restrictions_check2 CHECK (((kind <> 'suspend'::text) OR (expires_at IS NOT NULL)))

restrictions restrictions_check3 CHECK (((kind = 'limit'::text) = (capabilities <> '{}'::text[])))

restrictions restrictions_imposed_by_fkey FOREIGN KEY (imposed_by) REFERENCES users(id)

restrictions restrictions_kind_check CHECK ((kind = ANY (ARRAY['limit'::text, 'suspend'::text, 'ban'::text])))

restrictions restrictions_lifted_by_fkey FOREIGN KEY (lifted_by) REFERENCES users(id)

restrictions restrictions_pkey PRIMARY KEY (id)

restrictions restrictions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

revocations revocations_pkey PRIMARY KEY (id)

sessions sessions_pkey PRIMARY KEY (id)

sessions sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

sidecar_state sidecar_state_pkey PRIMARY KEY (key)

social_profiles social_profiles_pkey PRIMARY KEY (user_id)

social_profiles social_profiles_posts_count_check CHECK ((posts_count >= 0))

social_profiles social_profiles_reactions_count_check CHECK ((reactions_count >= 0))

social_profiles social_profiles_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

suggestion_dismissals suggestion_dismissals_check CHECK ((user_id <> dismissed_id))

suggestion_dismissals suggestion_dismissals_pkey PRIMARY KEY (user_id, dismissed_id)

sweeps sweeps_pkey PRIMARY KEY (name)

tie_changes tie_changes_pkey PRIMARY KEY (id)

totp_factors totp_factors_pkey PRIMARY KEY (user_id)

totp_factors totp_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

trusted_devices trusted_devices_device_hash_check CHECK ((octet_length(device_hash) = 32))

trusted_devices trusted_devices_pkey PRIMARY KEY (id)

trusted_devices trusted_devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

user_preferences user_preferences_data_check CHECK ((jsonb_typeof(data) = 'object'::text))

user_preferences user_preferences_pkey PRIMARY KEY (user_id)

user_preferences user_preferences_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

user_preferences user_preferences_version_check CHECK ((version > 0))

user_versions user_versions_pkey PRIMARY KEY (user_id)

user_versions user_versions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE

users users_email_check CHECK ((length(email) <= 320))

users users_pkey PRIMARY KEY (id)

users users_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'banned'::text, 'deactivated'::text, 'erased'::text])))

users users_username_check CHECK (((length(username) >= 3) AND (length(username) <= 30)))

-- indexes

CREATE UNIQUE INDEX audit_details_pkey ON public.audit_details USING btree (audit_id)

CREATE INDEX audit_details_user ON public.audit_details USING btree (user_id)

CREATE UNIQUE INDEX audit_log_pkey ON public.audit_log USING btree (id)

CREATE INDEX blocks_blocked ON public.blocks USING btree (blocked_id, blocker_id)

CREATE INDEX blocks_newest ON public.blocks USING btree (blocker_id, created_at DESC, blocked_id DESC)

CREATE UNIQUE INDEX blocks_pkey ON public.blocks USING btree (blocker_id, blocked_id)

CREATE UNIQUE INDEX connections_pkey ON public.connections USING btree (id)

CREATE INDEX connections_pod ON public.connections USING btree (pod_id)

CREATE INDEX connections_user ON public.connections USING btree (user_id)

CREATE UNIQUE INDEX count_deltas_pkey ON public.count_deltas USING btree (id)

CREATE INDEX count_deltas_user ON public.count_deltas USING btree (user_id)

CREATE UNIQUE INDEX credentials_pkey ON public.credentials USING btree (user_id)

CREATE INDEX declared_restrictions_ended ON public.declared_restrictions USING btree (ended_at) WHERE (ended_at IS NOT NULL)

CREATE UNIQUE INDEX declared_restrictions_live ON public.declared_restrictions USING btree (source, external_id) WHERE (ended_at IS NULL)

CREATE UNIQUE INDEX declared_restrictions_pkey ON public.declared_restrictions USING btree (source, external_id, uid)

CREATE UNIQUE INDEX declared_restrictions_restriction ON public.declared_restrictions USING btree (restriction_id)

CREATE INDEX declared_restrictions_user ON public.declared_restrictions USING btree (user_id) WHERE (ended_at IS NULL)

CREATE INDEX declared_restrictions_waiting ON public.declared_restrictions USING btree (email_hash) WHERE ((ended_at IS NULL) AND (email_hash IS NOT NULL))

CREATE UNIQUE INDEX feed_epoch_pkey ON public.feed_epoch USING btree (only_one)

CREATE UNIQUE INDEX follow_counts_pkey ON public.follow_counts USING btree (user_id)

CREATE INDEX follow_counts_popular ON public.follow_counts USING btree (followers_count DESC, user_id) WHERE (followers_count >= 10)

CREATE INDEX follows_begun ON public.follows USING btree (follower_id, created_at DESC)

CREATE INDEX follows_followers ON public.follows USING btree (followee_id, changed_at DESC, follower_id DESC) WHERE (state = 'accepted'::text)

CREATE INDEX follows_following ON public.follows USING btree (follower_id, changed_at DESC, followee_id DESC) WHERE (state = 'accepted'::text)

CREATE UNIQUE INDEX follows_pkey ON public.follows USING btree (follower_id, followee_id)

CREATE INDEX follows_requests ON public.follows USING btree (followee_id, changed_at DESC, follower_id DESC) WHERE (state = 'requested'::text)

CREATE INDEX follows_waiting ON public.follows USING btree (follower_id) WHERE (state = 'requested'::text)

CREATE INDEX former_usernames_name ON public.former_usernames USING btree (lower(username) COLLATE "C", kept_until DESC)

CREATE UNIQUE INDEX former_usernames_pkey ON public.former_usernames USING btree (id)

CREATE INDEX former_usernames_user ON public.former_usernames USING btree (user_id, left_at DESC)

CREATE UNIQUE INDEX identities_pkey ON public.identities USING btree (id)

CREATE UNIQUE INDEX identities_subject ON public.identities USING btree (provider, subject)

CREATE INDEX identities_user ON public.identities USING btree (user_id, linked_at)

CREATE UNIQUE INDEX inbox_pkey ON public.inbox USING btree (consumer, source, event_id)

CREATE INDEX inbox_received ON public.inbox USING btree (received_at)

CREATE INDEX inbox_trouble ON public.inbox USING btree (source, event_id) WHERE (verdict <> 'SUCCESS'::text)

CREATE INDEX jobs_dead ON public.jobs USING btree (finished_at) WHERE (state = 'dead'::text)

CREATE INDEX jobs_due ON public.jobs USING btree (kind, due_at) WHERE (state = 'waiting'::text)

CREATE INDEX jobs_finished ON public.jobs USING btree (finished_at) WHERE (state <> 'waiting'::text)

CREATE UNIQUE INDEX jobs_kind_key_key ON public.jobs USING btree (kind, key)

CREATE UNIQUE INDEX jobs_pkey ON public.jobs USING btree (id)

CREATE UNIQUE INDEX last_seen_pkey ON public.last_seen USING btree (user_id)

CREATE INDEX mailbox_newest ON public.mailbox USING btree (sent_at DESC, message_id DESC)

CREATE UNIQUE INDEX mailbox_pkey ON public.mailbox USING btree (message_id)

CREATE INDEX mutes_newest ON public.mutes USING btree (muter_id, created_at DESC, muted_id DESC)

CREATE UNIQUE INDEX mutes_pkey ON public.mutes USING btree (muter_id, muted_id)

CREATE INDEX notices_about ON public.notices USING btree (user_id, ((data ->> 'userId'::text))) WHERE (type = ANY (ARRAY['follow.requested'::text, 'follow.accepted'::text]))

CREATE INDEX notices_about_follows ON public.notices USING btree (user_id, ((data ->> 'userId'::text))) WHERE (type = ANY (ARRAY['follow.started'::text, 'follow.requested'::text, 'follow.accepted'::text]))

CREATE UNIQUE INDEX notices_pkey ON public.notices USING btree (id)

CREATE INDEX notices_unread ON public.notices USING btree (user_id, id DESC) WHERE (read_at IS NULL)

CREATE INDEX notices_user ON public.notices USING btree (user_id, id DESC)

CREATE INDEX one_time_tokens_address ON public.one_time_tokens USING btree (lower(email) COLLATE "C", purpose, created_at DESC)

CREATE INDEX one_time_tokens_expires ON public.one_time_tokens USING btree (expires_at)

CREATE UNIQUE INDEX one_time_tokens_pkey ON public.one_time_tokens USING btree (id)

CREATE INDEX one_time_tokens_user ON public.one_time_tokens USING btree (user_id) WHERE (user_id IS NOT NULL)

CREATE INDEX outbox_due ON public.outbox USING btree (due_at) WHERE (done_at IS NULL)

CREATE UNIQUE INDEX outbox_pkey ON public.outbox USING btree (id)

CREATE UNIQUE INDEX outbox_topic_subject_user_version_key ON public.outbox USING btree (topic, subject, user_version)

CREATE UNIQUE INDEX passkeys_pkey ON public.passkeys USING btree (id)

CREATE INDEX passkeys_user ON public.passkeys USING btree (user_id, created_at)

CREATE INDEX pods_lease ON public.pods USING btree (lease_until)

CREATE UNIQUE INDEX pods_pkey ON public.pods USING btree (id)

CREATE UNIQUE INDEX presence_states_pkey ON public.presence_states USING btree (user_id)

CREATE INDEX presence_states_xact ON public.presence_states USING btree (xact_id)

CREATE UNIQUE INDEX privacy_settings_pkey ON public.privacy_settings USING btree (user_id)

CREATE UNIQUE INDEX recovery_codes_pkey ON public.recovery_codes USING btree (user_id, mac)

CREATE UNIQUE INDEX refresh_tokens_pkey ON public.refresh_tokens USING btree (session_id)

CREATE INDEX restrictions_end_due ON public.restrictions USING btree (expires_at) WHERE ((end_announced_at IS NULL) AND (lifted_at IS NULL) AND (expires_at IS NOT NULL))

CREATE UNIQUE INDEX restrictions_pkey ON public.restrictions USING btree (id)

CREATE INDEX restrictions_start_due ON public.restrictions USING btree (starts_at) WHERE ((start_announced_at IS NULL) AND (lifted_at IS NULL))

CREATE INDEX restrictions_user ON public.restrictions USING btree (user_id, created_at DESC, id DESC)

CREATE INDEX revocations_created ON public.revocations USING btree (created_at)

CREATE UNIQUE INDEX revocations_pkey ON public.revocations USING btree (id)

CREATE INDEX revocations_xact ON public.revocations USING btree (xact_id, id)

CREATE INDEX sessions_impersonator ON public.sessions USING btree (impersonator_id, created_at) WHERE (impersonator_id IS NOT NULL)

CREATE INDEX sessions_over ON public.sessions USING btree (LEAST(expires_at, revoked_at))

CREATE UNIQUE INDEX sessions_pkey ON public.sessions USING btree (id)

CREATE INDEX sessions_user ON public.sessions USING btree (user_id, created_at DESC, id)

CREATE INDEX sidecar_state_expires ON public.sidecar_state USING btree (expires_at) WHERE (expires_at IS NOT NULL)

CREATE UNIQUE INDEX sidecar_state_pkey ON public.sidecar_state USING btree (key)

CREATE UNIQUE INDEX social_profiles_pkey ON public.social_profiles USING btree (user_id)

CREATE UNIQUE INDEX suggestion_dismissals_pkey ON public.suggestion_dismissals USING btree (user_id, dismissed_id)

CREATE INDEX suggestion_dismissals_until ON public.suggestion_dismissals USING btree (until)

CREATE UNIQUE INDEX sweeps_pkey ON public.sweeps USING btree (name)

CREATE UNIQUE INDEX tie_changes_pkey ON public.tie_changes USING btree (id)

CREATE INDEX tie_changes_xact ON public.tie_changes USING btree (xact_id)

CREATE UNIQUE INDEX totp_factors_pkey ON public.totp_factors USING btree (user_id)

CREATE UNIQUE INDEX trusted_devices_device ON public.trusted_devices USING btree (user_id, device_hash)

CREATE INDEX trusted_devices_expires ON public.trusted_devices USING btree (expires_at)

CREATE UNIQUE INDEX trusted_devices_pkey ON public.trusted_devices USING btree (id)

CREATE UNIQUE INDEX user_preferences_pkey ON public.user_preferences USING btree (user_id)

CREATE UNIQUE INDEX user_versions_pkey ON public.user_versions USING btree (user_id)

CREATE INDEX users_address_hash ON public.users USING btree (address_hash(email))

CREATE INDEX users_admins ON public.users USING btree (id) WHERE ('admin'::text = ANY (roles))

CREATE INDEX users_display_name_folded ON public.users USING btree (name_fold(display_name) COLLATE "C", id)

CREATE INDEX users_display_name_prefix ON public.users USING btree (lower(display_name) COLLATE "C", id)

CREATE UNIQUE INDEX users_email_key ON public.users USING btree (lower(email) COLLATE "C")

CREATE INDEX users_names_trigrams ON public.users USING gin (name_fold(((username || ' '::text) || display_name)) gin_trgm_ops) WITH (fastupdate=off)

CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)

CREATE UNIQUE INDEX users_username_key ON public.users USING btree (lower(username) COLLATE "C")

-- views

admin_accounts
 SELECT u.id,
    u.username,
    u.email,
    u.email_verified_at,
    u.display_name,
    u.avatar_url,
    u.bio,
    u.roles,
    u.created_at,
    u.updated_at,
    s.status AS current_status,
    t.confirmed_at AS totp_confirmed_at,
    (c.user_id IS NOT NULL) AS has_password,
    ( SELECT (count(*))::integer AS count
           FROM passkeys p
          WHERE (p.user_id = u.id)) AS passkeys,
    ( SELECT (count(*))::integer AS count
           FROM sessions x
          WHERE ((x.user_id = u.id) AND (x.revoked_at IS NULL) AND (x.expires_at > now()))) AS sessions
   FROM (((users u
     JOIN user_standings s ON ((s.user_id = u.id)))
     LEFT JOIN totp_factors t ON ((t.user_id = u.id)))
     LEFT JOIN credentials c ON ((c.user_id = u.id)));

user_standings
 SELECT id AS user_id,
        CASE
            WHEN (status_valid_until <= statement_timestamp()) THEN ( SELECT s.status
               FROM user_standing(u.id) s(status, limited, valid_until, sessions_valid_from))
            ELSE status
        END AS status,
        CASE
            WHEN (status_valid_until <= statement_timestamp()) THEN ( SELECT s.limited
               FROM user_standing(u.id) s(status, limited, valid_until, sessions_valid_from))
            ELSE limited
        END AS limited,
        CASE
            WHEN (status_valid_until <= statement_timestamp()) THEN ( SELECT s.valid_until
               FROM user_standing(u.id) s(status, limited, valid_until, sessions_valid_from))
            ELSE status_valid_until
        END AS valid_until,
        CASE
            WHEN (status_valid_until <= statement_timestamp()) THEN ( SELECT GREATEST(s.sessions_valid_from, u.sessions_valid_from) AS "greatest"
               FROM user_standing(u.id) s(status, limited, valid_until, sessions_valid_from))
            ELSE sessions_valid_from
        END AS sessions_valid_from
   FROM users u;

-- functions

CREATE OR REPLACE FUNCTION public.address_hash(address text)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select sha256(convert_to(lower(address collate "C"), 'UTF8')) $function$

CREATE OR REPLACE FUNCTION public.count_by_prefix(viewer uuid, viewer_role text, prefix text, count_limit bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
    declare
      low constant text := name_fold(prefix);
      high constant text := name_fold(prefix) || chr(1114111);
    begin
      return (
        select count(*) from (
          select from people_seen_by(viewer, viewer_role) p
          where lower(p.username) collate "C" >= low and lower(p.username) collate "C" < high and p.findable
          union all
          select from people_seen_by(viewer, viewer_role) p
          where name_fold(p.display_name) collate "C" >= low and name_fold(p.display_name) collate "C" < high
            and not (lower(p.username) collate "C" >= low and lower(p.username) collate "C" < high) and p.findable
          limit count_limit
        ) matching
      );
    end
    $function$

CREATE OR REPLACE FUNCTION public.follow_totals(person uuid)
 RETURNS TABLE(followers bigint, following bigint)
 LANGUAGE sql
 STABLE
AS $function$
      select coalesce(sum(part.followers), 0)::bigint, coalesce(sum(part.following), 0)::bigint
      from (
        select c.followers_count as followers, c.following_count as following from follow_counts c where c.user_id = person
        union all
        select d.followers, d.following from count_deltas d where d.user_id = person
      ) part
    $function$

CREATE OR REPLACE FUNCTION public.follow_totals_seen_by(viewer uuid, person uuid)
 RETURNS TABLE(followers bigint, following bigint)
 LANGUAGE sql
 STABLE
AS $function$
      select case when hidden.blockers <= 500 or person = viewer then t.followers - hidden.followers end,
        case when hidden.blockers <= 500 or person = viewer then t.following - hidden.following end
      from follow_totals(person) t
      cross join lateral (
        select count(*) as blockers,
          count(*) filter (where
            (select f.state = 'accepted' from follows f where f.follower_id = b.blocker_id and f.followee_id = person)) as followers,
          count(*) filter (where
            (select f.state = 'accepted' from follows f where f.follower_id = person and f.followee_id = b.blocker_id)) as following
        from (select blocker_id from blocks where blocked_id = viewer limit 501) b
      ) hidden
    $function$

CREATE OR REPLACE FUNCTION public.name_fold(name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
      select case when octet_length(name) = length(name) then lower(left(name, 300)) else coalesce(
        nullif(
          lower(replace(replace(replace(translate(
            left(regexp_replace(normalize(name, NFD), '[\u0300-\u036f]', '', 'g'), 300),
            'øØłŁđĐðÐħĦıŧŦÆŒẞΣς', 'oOlLdDdDhHitTæœßσσ'
          ), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')),
          ''
        ),
        lower(name)
      ) end
    $function$

CREATE OR REPLACE FUNCTION public.people_seen_by(viewer uuid, viewer_role text)
 RETURNS TABLE(id uuid, username text, display_name text, shown boolean, watchable boolean, findable boolean, whole boolean)
 LANGUAGE sql
 STABLE
AS $function$
      select u.id, u.username, u.display_name,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true
          when exists (select 1 from blocks b where b.blocker_id = viewer and b.blocked_id = u.id) then false
          when exists (select 1 from blocks b where b.blocker_id = u.id and b.blocked_id = viewer) then false
          else true
        end,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true
          when exists (select 1 from blocks b where b.blocker_id = viewer and b.blocked_id = u.id) then false
          when exists (select 1 from blocks b where b.blocker_id = u.id and b.blocked_id = viewer) then false
          when now.status <> 'active' and viewer_role not in ('moderator', 'admin') then false
          else 
          case coalesce((select s.last_seen from privacy_settings s where s.user_id = u.id), 'everyone')
            when 'everyone' then true
            when 'followers' then coalesce((select f.state = 'accepted' from follows f where f.follower_id = viewer and f.followee_id = u.id), false)
            else false
          end
        end,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true
          when exists (select 1 from blocks b where b.blocker_id = viewer and b.blocked_id = u.id) then false
          when exists (select 1 from blocks b where b.blocker_id = u.id and b.blocked_id = viewer) then false
          when viewer_role in ('moderator', 'admin') then true
          when now.status in ('suspended', 'banned') then false
          when 'be_found' = any (now.limited) then false
          else 
          case coalesce((select s.discoverable from privacy_settings s where s.user_id = u.id), 'everyone')
            when 'everyone' then true
            when 'followers' then coalesce((select f.state = 'accepted' from follows f where f.follower_id = viewer and f.followee_id = u.id), false)
            else false
          end
        end,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true
          when exists (select 1 from blocks b where b.blocker_id = viewer and b.blocked_id = u.id) then false
          when exists (select 1 from blocks b where b.blocker_id = u.id and b.blocked_id = viewer) then false
          when viewer_role in ('moderator', 'admin') then true
          when now.status in ('suspended', 'banned') then false
          else 
          case coalesce((select s.profile from privacy_settings s where s.user_id = u.id), 'everyone')
            when 'everyone' then true
            when 'followers' then coalesce((select f.state = 'accepted' from follows f where f.follower_id = viewer and f.followee_id = u.id), false)
            else false
          end
        end
      from users u
      cross join lateral (
        select
          case when u.status_valid_until <= statement_timestamp() then (select s.status from user_standing(u.id) s) else u.status end as status,
          case when u.status_valid_until <= statement_timestamp() then (select s.limited from user_standing(u.id) s) else u.limited end as limited
      ) now
    $function$

CREATE OR REPLACE FUNCTION public.privacy_of(s privacy_settings)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
      select case when s.user_id is not null then jsonb_build_object(
        'profile', s.profile, 'email', s.email, 'followersList', s.followers_list, 'followingList', s.following_list,
        'lastSeen', s.last_seen, 'typing', s.typing, 'discoverable', s.discoverable, 'messages', s.messages,
        'requireFollowApproval', s.require_follow_approval
      ) end
    $function$

CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      raise exception '% on % is refused: rows are only added', tg_op, tg_table_name using errcode = 'insufficient_privilege';
    end
    $function$

CREATE OR REPLACE FUNCTION public.refuse_kept_username()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
    begin
      if exists (
        select from former_usernames f
        left join users owner on owner.id = f.user_id
        where lower(f.username) collate "C" = lower(new.username) collate "C"
          and f.user_id <> new.id and (f.kept_until > statement_timestamp() or owner.status = 'erased')
      ) then
        raise exception 'the name is kept for who left it' using errcode = 'unique_violation', constraint = 'users_username_key', table = 'users';
      end if;
      return null;
    end
    $function$

CREATE OR REPLACE FUNCTION public.refuse_kept_usernames()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
    begin
      if exists (
        select from written w
        join former_usernames f on lower(f.username) collate "C" = lower(w.username) collate "C"
        left join users owner on owner.id = f.user_id
        where f.user_id <> w.id and (f.kept_until > statement_timestamp() or owner.status = 'erased')
      ) then
        raise exception 'the name is kept for who left it' using errcode = 'unique_violation', constraint = 'users_username_key', table = 'users';
      end if;
      return null;
    end
    $function$

CREATE OR REPLACE FUNCTION public.strictest_restriction(target uuid)
 RETURNS TABLE(kind text, reason text, message text, starts_at timestamp with time zone, expires_at timestamp with time zone, capabilities text[])
 LANGUAGE sql
 STABLE
 SET search_path TO '$user', 'public'
AS $function$
      select r.kind, r.reason, r.message, r.starts_at, r.expires_at, r.capabilities
      from restrictions r
      where r.user_id = target and r.lifted_at is null and r.starts_at <= statement_timestamp()
        and (r.expires_at is null or r.expires_at > statement_timestamp())
      order by array_position(array['ban', 'suspend', 'limit'], r.kind), r.expires_at desc nulls first, r.starts_at, r.id
      limit 1
    $function$

CREATE OR REPLACE FUNCTION public.suggestible_to(viewer uuid, viewer_role text, candidate uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
      select candidate <> viewer
        and not exists (select from follows f where f.follower_id = viewer and f.followee_id = candidate)
        and not exists (select from mutes m where m.muter_id = viewer and m.muted_id = candidate and (m.until is null or m.until > statement_timestamp()))
        and not exists (
          select from suggestion_dismissals d where d.user_id = viewer and d.dismissed_id = candidate and d.until > statement_timestamp()
        )
        and coalesce((select p.findable from people_seen_by(viewer, viewer_role) p where p.id = candidate), false)
    $function$

CREATE OR REPLACE FUNCTION public.user_standing(target uuid)
 RETURNS TABLE(status text, limited text[], valid_until timestamp with time zone, sessions_valid_from timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO '$user', 'public'
AS $function$
      with mine as (
        select r.*,
          r.lifted_at is null and (r.expires_at is null or r.expires_at > statement_timestamp()) as standing,
          r.starts_at <= statement_timestamp() as begun
        from restrictions r where r.user_id = target
      )
      select
        case
          when bool_or(standing and begun and kind = 'ban') then 'banned'
          when bool_or(standing and begun and kind = 'suspend') then 'suspended'
          else 'active'
        end,
        coalesce((
          select array_agg(distinct capability order by capability)
          from mine m, unnest(m.capabilities) as capability where m.standing and m.begun
        ), '{}'),
        least(
          min(expires_at) filter (where standing and begun),
          min(starts_at) filter (where standing and not begun)
        ),
        coalesce(max(starts_at) filter (
          where begun and kind in ('suspend', 'ban') and (lifted_at is null or lifted_at >= starts_at)
        ), '-infinity')
      from mine
    $function$

-- triggers

CREATE TRIGGER audit_details_unchanged BEFORE UPDATE ON public.audit_details FOR EACH ROW EXECUTE FUNCTION refuse_change()

CREATE TRIGGER audit_log_append_only BEFORE DELETE OR UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change()

CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()

CREATE TRIGGER users_kept_usernames_insert AFTER INSERT ON public.users REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_kept_usernames()

CREATE TRIGGER users_kept_usernames_update AFTER UPDATE OF username ON public.users FOR EACH ROW WHEN ((lower(old.username) IS DISTINCT FROM lower(new.username))) EXECUTE FUNCTION refuse_kept_username()
