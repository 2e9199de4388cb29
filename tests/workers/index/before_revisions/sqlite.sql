BEGIN TRANSACTION;
CREATE TABLE announced_series (
	source VARCHAR(16) NOT NULL,
	uid VARCHAR(64) NOT NULL,
	series_instance_uid VARCHAR(64) NOT NULL,
	images INTEGER NOT NULL,
	PRIMARY KEY (source, uid, series_instance_uid)
);
INSERT INTO "announced_series" VALUES('mpps','1.3.1','1.2.5.1',4);
CREATE TABLE announcements (
	source VARCHAR(16) NOT NULL,
	uid VARCHAR(64) NOT NULL,
	study_instance_uid VARCHAR(64) NOT NULL,
	step VARCHAR(16) NOT NULL,
	updated_at DATETIME NOT NULL,
	PRIMARY KEY (source, uid)
);
INSERT INTO "announcements" VALUES('mpps','1.3.1','1.2.5','completed','2026-03-01 12:00:00.000000');
CREATE TABLE assessments (
	study_instance_uid VARCHAR(64) NOT NULL,
	revision INTEGER NOT NULL,
	stage VARCHAR(32) NOT NULL,
	stage_rank INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	superseded BOOLEAN NOT NULL,
	document JSON NOT NULL,
	PRIMARY KEY (study_instance_uid, revision, stage)
);
INSERT INTO "assessments" VALUES('1.2.1',1,'full',1,'2026-03-01 12:00:00.000000',0,'{"schema_version": "1", "stage": "full", "study": {"study_instance_uid": "1.2.1"}, "decision": {"category": "no_pattern", "priority": "unchanged", "reasons": ["no baseline: the study is one itself"]}}');
INSERT INTO "assessments" VALUES('1.2.2',1,'first_look',0,'2026-03-01 12:00:00.000000',1,'{"schema_version": "1", "stage": "first_look", "study": {"study_instance_uid": "1.2.2"}, "decision": {"category": "A", "priority": "P2", "reasons": ["first look"]}}');
INSERT INTO "assessments" VALUES('1.2.2',1,'full',1,'2026-03-01 12:00:00.000000',0,'{"schema_version": "1", "stage": "full", "study": {"study_instance_uid": "1.2.2"}, "decision": {"category": "A", "priority": "P1", "reasons": ["thalamus left +31 %", "gr\u00f6\u00dfer & <b>hell</b>", "third"]}}');
INSERT INTO "assessments" VALUES('1.2.3',1,'full',1,'2026-03-01 12:00:00.000000',0,'{"schema_version": "1", "stage": "full", "study": {"study_instance_uid": "1.2.3"}, "decision": {"category": "B", "priority": "P3", "reasons": ["a new lesion"]}}');
CREATE TABLE conflicts (
	path VARCHAR(128) NOT NULL,
	sop_instance_uid VARCHAR(64) NOT NULL,
	series_instance_uid VARCHAR(64) NOT NULL,
	study_instance_uid VARCHAR(64) NOT NULL,
	received_at DATETIME NOT NULL,
	calling_ae TEXT NOT NULL,
	PRIMARY KEY (path)
);
INSERT INTO "conflicts" VALUES('1.2.5.1.1.x.dcm','1.2.5.1.1','1.2.5.1','1.2.5','2026-03-01 12:00:00.000000','X');
CREATE TABLE infusions (
	patient_id TEXT NOT NULL,
	infusion_date DATE NOT NULL,
	PRIMARY KEY (patient_id)
);
INSERT INTO "infusions" VALUES('P-1','2026-01-10');
INSERT INTO "infusions" VALUES('P''2','2026-01-15');
CREATE TABLE instances (
	sop_instance_uid VARCHAR(64) NOT NULL,
	sop_class_uid VARCHAR(64) NOT NULL,
	transfer_syntax_uid VARCHAR(64) NOT NULL,
	series_instance_uid VARCHAR(64) NOT NULL,
	study_instance_uid VARCHAR(64) NOT NULL,
	path TEXT NOT NULL,
	size_bytes BIGINT NOT NULL,
	received_at DATETIME NOT NULL,
	calling_ae TEXT NOT NULL,
	patient_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	birth_date DATE,
	sex TEXT NOT NULL,
	study_date DATE,
	study_time TEXT NOT NULL,
	accession_number TEXT NOT NULL,
	modality TEXT NOT NULL,
	series_description TEXT NOT NULL,
	series_number INTEGER,
	images_in_acquisition INTEGER,
	frame_count INTEGER NOT NULL,
	PRIMARY KEY (sop_instance_uid)
);
INSERT INTO "instances" VALUES('1.2.1.1.1','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.1.1','1.2.1','ab/1.2.1.1.1.dcm',8589934593,'2026-03-01 12:00:01.000000','SCANNER','P-1','CLINIC','1980-02-29','F','2026-01-01','101500.25','A0','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.1.1.2','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.1.1','1.2.1','ab/1.2.1.1.2.dcm',8589934594,'2026-03-01 12:00:02.000000','SCANNER','P-1','CLINIC','1980-02-29','F','2026-01-01','101500.25','A0','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.2.1.1','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.2.1','1.2.2','ab/1.2.2.1.1.dcm',8589934593,'2026-03-01 12:00:21.000000','SCANNER','P-1','CLINIC','1980-02-29','F','2026-01-21','101500.25','A20','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.2.1.2','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.2.1','1.2.2','ab/1.2.2.1.2.dcm',8589934594,'2026-03-01 12:00:22.000000','SCANNER','P-1','CLINIC','1980-02-29','F','2026-01-21','101500.25','A20','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.3.1.1','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.3.1','1.2.3','ab/1.2.3.1.1.dcm',8589934593,'2026-03-01 12:00:22.000000','SCANNER','P''2','CLINIC','1980-02-29','F','2026-01-22','101500.25','A21','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.3.1.2','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.3.1','1.2.3','ab/1.2.3.1.2.dcm',8589934594,'2026-03-01 12:00:23.000000','SCANNER','P''2','CLINIC','1980-02-29','F','2026-01-22','101500.25','A21','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.4.1.1','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.4.1','1.2.4','ab/1.2.4.1.1.dcm',8589934593,'2026-03-01 12:00:31.000000','SCANNER','P''2','CLINIC','1980-02-29','F','2026-01-31','101500.25','A30','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.4.1.2','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.4.1','1.2.4','ab/1.2.4.1.2.dcm',8589934594,'2026-03-01 12:00:32.000000','SCANNER','P''2','CLINIC','1980-02-29','F','2026-01-31','101500.25','A30','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.5.1.1','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.5.1','1.2.5','ab/1.2.5.1.1.dcm',8589934593,'2026-03-01 12:00:32.000000','SCANNER','P-3','CLINIC','1980-02-29','F','2026-02-01','101500.25','A31','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.5.1.2','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.5.1','1.2.5','ab/1.2.5.1.2.dcm',8589934594,'2026-03-01 12:00:33.000000','SCANNER','P-3','CLINIC','1980-02-29','F','2026-02-01','101500.25','A31','MR','FLAIR größer Ω',4,3,1);
INSERT INTO "instances" VALUES('1.2.3.1.3','1.2.840.10008.5.1.4.1.1.4','1.2.840.10008.1.2.1','1.2.3.1','1.2.3','ab/1.2.3.1.3.dcm',8589934595,'2026-03-01 12:00:24.000000','SCANNER','P''2','CLINIC','1980-02-29','F','2026-01-22','101500.25','A21','MR','FLAIR größer Ω',4,3,1);
CREATE TABLE schema_version (
	version INTEGER NOT NULL,
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE series (
	study_instance_uid VARCHAR(64) NOT NULL,
	series_instance_uid VARCHAR(64) NOT NULL,
	PRIMARY KEY (study_instance_uid, series_instance_uid)
);
INSERT INTO "series" VALUES('1.2.1','1.2.1.1');
INSERT INTO "series" VALUES('1.2.2','1.2.2.1');
INSERT INTO "series" VALUES('1.2.3','1.2.3.1');
INSERT INTO "series" VALUES('1.2.4','1.2.4.1');
INSERT INTO "series" VALUES('1.2.5','1.2.5.1');
CREATE TABLE studies (
	study_instance_uid VARCHAR(64) NOT NULL,
	patient_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	birth_date DATE,
	sex TEXT NOT NULL,
	study_date DATE,
	study_time TEXT NOT NULL,
	accession_number TEXT NOT NULL,
	state VARCHAR(16) NOT NULL,
	revision INTEGER NOT NULL,
	instance_count INTEGER NOT NULL,
	series_count INTEGER NOT NULL,
	first_received_at DATETIME NOT NULL,
	last_received_at DATETIME NOT NULL,
	ready_at DATETIME,
	ready_reason TEXT,
	due_at DATETIME,
	attempts INTEGER NOT NULL,
	lease_owner TEXT,
	lease_until DATETIME,
	lease_revision INTEGER,
	lease_attempt INTEGER,
	settled_at DATETIME,
	failure TEXT,
	decided_revision INTEGER,
	category TEXT,
	priority TEXT,
	PRIMARY KEY (study_instance_uid)
);
INSERT INTO "studies" VALUES('1.2.1','P-1','CLINIC','1980-02-29','F','2026-01-01','101500.25','A0','assessed',1,2,1,'2026-03-01 12:00:01.000000','2026-03-01 12:00:02.000000','2026-03-01 12:00:00.000000','FLAIR complete',NULL,1,NULL,NULL,NULL,NULL,'2026-03-01 12:00:00.000000',NULL,1,'no_pattern','unchanged');
INSERT INTO "studies" VALUES('1.2.2','P-1','CLINIC','1980-02-29','F','2026-01-21','101500.25','A20','assessed',1,2,1,'2026-03-01 12:00:21.000000','2026-03-01 12:00:22.000000','2026-03-01 12:00:00.000000','FLAIR complete',NULL,1,NULL,NULL,NULL,NULL,'2026-03-01 12:00:00.000000',NULL,1,'A','P1');
INSERT INTO "studies" VALUES('1.2.3','P''2','CLINIC','1980-02-29','F','2026-01-22','101500.25','A21','receiving',2,3,1,'2026-03-01 12:00:22.000000','2026-03-01 12:00:24.000000',NULL,'FLAIR complete',NULL,0,NULL,NULL,NULL,NULL,'2026-03-01 12:00:00.000000',NULL,1,'B','P3');
INSERT INTO "studies" VALUES('1.2.4','P''2','CLINIC','1980-02-29','F','2026-01-31','101500.25','A30','failed',1,2,1,'2026-03-01 12:00:31.000000','2026-03-01 12:00:32.000000','2026-03-01 12:00:00.000000','FLAIR complete',NULL,1,NULL,NULL,NULL,NULL,'2026-03-01 12:00:00.000000','engine: broken',NULL,NULL,NULL);
INSERT INTO "studies" VALUES('1.2.5','P-3','CLINIC','1980-02-29','F','2026-02-01','101500.25','A31','receiving',1,2,1,'2026-03-01 12:00:32.000000','2026-03-01 12:00:33.000000',NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX ix_instances_study_instance_uid ON instances (study_instance_uid);
CREATE INDEX ix_instances_path ON instances (path);
CREATE INDEX studies_by_patient ON studies (patient_id, issuer);
CREATE INDEX ix_studies_last_received_at ON studies (last_received_at);
CREATE INDEX studies_by_state ON studies (state);
CREATE INDEX ix_announcements_study_instance_uid ON announcements (study_instance_uid);
CREATE INDEX ix_conflicts_study_instance_uid ON conflicts (study_instance_uid);
COMMIT;
