CREATE TABLE public.announced_series (
    source character varying(16) NOT NULL,
    uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    images integer NOT NULL
);
CREATE TABLE public.announcements (
    source character varying(16) NOT NULL,
    uid character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    step character varying(16) NOT NULL,
    updated_at timestamp with time zone NOT NULL
);
CREATE TABLE public.assessments (
    study_instance_uid character varying(64) NOT NULL,
    revision integer NOT NULL,
    stage character varying(32) NOT NULL,
    stage_rank integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    superseded boolean NOT NULL,
    document json NOT NULL
);
CREATE TABLE public.conflicts (
    path character varying(128) NOT NULL,
    sop_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    received_at timestamp with time zone NOT NULL,
    calling_ae text NOT NULL
);
CREATE TABLE public.infusions (
    patient_id text NOT NULL,
    infusion_date date NOT NULL
);
CREATE TABLE public.instances (
    sop_instance_uid character varying(64) NOT NULL,
    sop_class_uid character varying(64) NOT NULL,
    transfer_syntax_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    path text NOT NULL,
    size_bytes bigint NOT NULL,
    received_at timestamp with time zone NOT NULL,
    calling_ae text NOT NULL,
    patient_id text NOT NULL,
    issuer text NOT NULL,
    birth_date date,
    sex text NOT NULL,
    study_date date,
    study_time text NOT NULL,
    accession_number text NOT NULL,
    modality text NOT NULL,
    series_description text NOT NULL,
    series_number integer,
    images_in_acquisition integer,
    frame_count integer NOT NULL
);
CREATE TABLE public.schema_version (
    version integer NOT NULL
);
CREATE TABLE public.series (
    study_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL
);
CREATE TABLE public.studies (
    study_instance_uid character varying(64) NOT NULL,
    patient_id text NOT NULL,
    issuer text NOT NULL,
    birth_date date,
    sex text NOT NULL,
    study_date date,
    study_time text NOT NULL,
    accession_number text NOT NULL,
    state character varying(16) NOT NULL,
    revision integer NOT NULL,
    instance_count integer NOT NULL,
    series_count integer NOT NULL,
    first_received_at timestamp with time zone NOT NULL,
    last_received_at timestamp with time zone NOT NULL,
    ready_at timestamp with time zone,
    ready_reason text,
    due_at timestamp with time zone,
    attempts integer NOT NULL,
    lease_owner text,
    lease_until timestamp with time zone,
    lease_revision integer,
    lease_attempt integer,
    settled_at timestamp with time zone,
    failure text,
    decided_revision integer,
    category text,
    priority text
);
INSERT INTO public.announced_series VALUES ('mpps', '1.3.1', '1.2.5.1', 4);
INSERT INTO public.announcements VALUES ('mpps', '1.3.1', '1.2.5', 'completed', '2026-03-01 12:00:00+00');
INSERT INTO public.assessments VALUES ('1.2.1', 1, 'full', 1, '2026-03-01 12:00:00+00', false, '{"schema_version": "1", "stage": "full", "study": {"study_instance_uid": "1.2.1"}, "decision": {"category": "no_pattern", "priority": "unchanged", "reasons": ["no baseline: the study is one itself"]}}');
INSERT INTO public.assessments VALUES ('1.2.2', 1, 'first_look', 0, '2026-03-01 12:00:00+00', true, '{"schema_version": "1", "stage": "first_look", "study": {"study_instance_uid": "1.2.2"}, "decision": {"category": "A", "priority": "P2", "reasons": ["first look"]}}');
INSERT INTO public.assessments VALUES ('1.2.2', 1, 'full', 1, '2026-03-01 12:00:00+00', false, '{"schema_version": "1", "stage": "full", "study": {"study_instance_uid": "1.2.2"}, "decision": {"category": "A", "priority": "P1", "reasons": ["thalamus left +31 %", "gr\u00f6\u00dfer & <b>hell</b>", "third"]}}');
INSERT INTO public.assessments VALUES ('1.2.3', 1, 'full', 1, '2026-03-01 12:00:00+00', false, '{"schema_version": "1", "stage": "full", "study": {"study_instance_uid": "1.2.3"}, "decision": {"category": "B", "priority": "P3", "reasons": ["a new lesion"]}}');
INSERT INTO public.conflicts VALUES ('1.2.5.1.1.x.dcm', '1.2.5.1.1', '1.2.5.1', '1.2.5', '2026-03-01 12:00:00+00', 'X');
INSERT INTO public.infusions VALUES ('P-1', '2026-01-10');
INSERT INTO public.infusions VALUES ('P''2', '2026-01-15');
INSERT INTO public.instances VALUES ('1.2.1.1.1', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.1.1', '1.2.1', 'ab/1.2.1.1.1.dcm', 8589934593, '2026-03-01 12:00:01+00', 'SCANNER', 'P-1', 'CLINIC', '1980-02-29', 'F', '2026-01-01', '101500.25', 'A0', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.1.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.1.1', '1.2.1', 'ab/1.2.1.1.2.dcm', 8589934594, '2026-03-01 12:00:02+00', 'SCANNER', 'P-1', 'CLINIC', '1980-02-29', 'F', '2026-01-01', '101500.25', 'A0', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.2.1.1', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.2.1', '1.2.2', 'ab/1.2.2.1.1.dcm', 8589934593, '2026-03-01 12:00:21+00', 'SCANNER', 'P-1', 'CLINIC', '1980-02-29', 'F', '2026-01-21', '101500.25', 'A20', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.2.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.2.1', '1.2.2', 'ab/1.2.2.1.2.dcm', 8589934594, '2026-03-01 12:00:22+00', 'SCANNER', 'P-1', 'CLINIC', '1980-02-29', 'F', '2026-01-21', '101500.25', 'A20', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.3.1.1', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.3.1', '1.2.3', 'ab/1.2.3.1.1.dcm', 8589934593, '2026-03-01 12:00:22+00', 'SCANNER', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-22', '101500.25', 'A21', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.3.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.3.1', '1.2.3', 'ab/1.2.3.1.2.dcm', 8589934594, '2026-03-01 12:00:23+00', 'SCANNER', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-22', '101500.25', 'A21', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.4.1.1', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.4.1', '1.2.4', 'ab/1.2.4.1.1.dcm', 8589934593, '2026-03-01 12:00:31+00', 'SCANNER', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-31', '101500.25', 'A30', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.4.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.4.1', '1.2.4', 'ab/1.2.4.1.2.dcm', 8589934594, '2026-03-01 12:00:32+00', 'SCANNER', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-31', '101500.25', 'A30', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.5.1.1', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.5.1', '1.2.5', 'ab/1.2.5.1.1.dcm', 8589934593, '2026-03-01 12:00:32+00', 'SCANNER', 'P-3', 'CLINIC', '1980-02-29', 'F', '2026-02-01', '101500.25', 'A31', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.5.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.5.1', '1.2.5', 'ab/1.2.5.1.2.dcm', 8589934594, '2026-03-01 12:00:33+00', 'SCANNER', 'P-3', 'CLINIC', '1980-02-29', 'F', '2026-02-01', '101500.25', 'A31', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.instances VALUES ('1.2.3.1.3', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.3.1', '1.2.3', 'ab/1.2.3.1.3.dcm', 8589934595, '2026-03-01 12:00:24+00', 'SCANNER', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-22', '101500.25', 'A21', 'MR', 'FLAIR größer Ω', 4, 3, 1);
INSERT INTO public.schema_version VALUES (1);
INSERT INTO public.series VALUES ('1.2.1', '1.2.1.1');
INSERT INTO public.series VALUES ('1.2.2', '1.2.2.1');
INSERT INTO public.series VALUES ('1.2.3', '1.2.3.1');
INSERT INTO public.series VALUES ('1.2.4', '1.2.4.1');
INSERT INTO public.series VALUES ('1.2.5', '1.2.5.1');
INSERT INTO public.studies VALUES ('1.2.5', 'P-3', 'CLINIC', '1980-02-29', 'F', '2026-02-01', '101500.25', 'A31', 'receiving', 1, 2, 1, '2026-03-01 12:00:32+00', '2026-03-01 12:00:33+00', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.studies VALUES ('1.2.1', 'P-1', 'CLINIC', '1980-02-29', 'F', '2026-01-01', '101500.25', 'A0', 'assessed', 1, 2, 1, '2026-03-01 12:00:01+00', '2026-03-01 12:00:02+00', '2026-03-01 12:00:00+00', 'FLAIR complete', NULL, 1, NULL, NULL, NULL, NULL, '2026-03-01 12:00:00+00', NULL, 1, 'no_pattern', 'unchanged');
INSERT INTO public.studies VALUES ('1.2.2', 'P-1', 'CLINIC', '1980-02-29', 'F', '2026-01-21', '101500.25', 'A20', 'assessed', 1, 2, 1, '2026-03-01 12:00:21+00', '2026-03-01 12:00:22+00', '2026-03-01 12:00:00+00', 'FLAIR complete', NULL, 1, NULL, NULL, NULL, NULL, '2026-03-01 12:00:00+00', NULL, 1, 'A', 'P1');
INSERT INTO public.studies VALUES ('1.2.3', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-22', '101500.25', 'A21', 'receiving', 2, 3, 1, '2026-03-01 12:00:22+00', '2026-03-01 12:00:24+00', NULL, 'FLAIR complete', NULL, 0, NULL, NULL, NULL, NULL, '2026-03-01 12:00:00+00', NULL, 1, 'B', 'P3');
INSERT INTO public.studies VALUES ('1.2.4', 'P''2', 'CLINIC', '1980-02-29', 'F', '2026-01-31', '101500.25', 'A30', 'failed', 1, 2, 1, '2026-03-01 12:00:31+00', '2026-03-01 12:00:32+00', '2026-03-01 12:00:00+00', 'FLAIR complete', NULL, 1, NULL, NULL, NULL, NULL, '2026-03-01 12:00:00+00', 'engine: broken', NULL, NULL, NULL);
ALTER TABLE ONLY public.announced_series
    ADD CONSTRAINT announced_series_pkey PRIMARY KEY (source, uid, series_instance_uid);
ALTER TABLE ONLY public.announcements
    ADD CONSTRAINT announcements_pkey PRIMARY KEY (source, uid);
ALTER TABLE ONLY public.assessments
    ADD CONSTRAINT assessments_pkey PRIMARY KEY (study_instance_uid, revision, stage);
ALTER TABLE ONLY public.conflicts
    ADD CONSTRAINT conflicts_pkey PRIMARY KEY (path);
ALTER TABLE ONLY public.infusions
    ADD CONSTRAINT infusions_pkey PRIMARY KEY (patient_id);
ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_pkey PRIMARY KEY (sop_instance_uid);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_pkey PRIMARY KEY (study_instance_uid, series_instance_uid);
ALTER TABLE ONLY public.studies
    ADD CONSTRAINT studies_pkey PRIMARY KEY (study_instance_uid);
CREATE INDEX ix_announcements_study_instance_uid ON public.announcements USING btree (study_instance_uid);
CREATE INDEX ix_conflicts_study_instance_uid ON public.conflicts USING btree (study_instance_uid);
CREATE INDEX ix_instances_path ON public.instances USING btree (path);
CREATE INDEX ix_instances_study_instance_uid ON public.instances USING btree (study_instance_uid);
CREATE INDEX ix_studies_last_received_at ON public.studies USING btree (last_received_at);
CREATE INDEX studies_by_patient ON public.studies USING btree (patient_id, issuer);
CREATE INDEX studies_by_state ON public.studies USING btree (state);
