import type { PerDatabase } from '../../tools/migrate/databases.ts';

/** The columns of a table that people may read, and the others. Each column is in one of the two. */
export interface Decision {
  readonly shown: string;
  readonly hidden: string;
}

/**
 * What was decided about each column of the three databases. A new column must be added here: to `shown` if it never holds
 * content, a secret, or what tells of a person, and in a migration with `ops.show_people`; else to `hidden`.
 */
export const DECISIONS: PerDatabase<Readonly<Record<string, Decision>>> = {
  core: {
    'ops.blobs': {
      shown:
        'tenant_id container_name blob_name retention_class access_tier bytes created_at tier_changed_at next_check_at delete_after deleted_at record_id',
      hidden: 'sha256 source_id orchestration_id',
    },
    'ops.data_keys': {
      shown: 'tenant_id key_id wrapped_with created_at rewrapped_at destroyed_at',
      hidden: 'wrapped_key wrapped_before',
    },
    'ops.deployment': { shown: '', hidden: 'one_row runs_ahead' },
    'ops.erasure_blobs': {
      shown: 'tenant_id erasure_id container_name blob_name may_go_at is_immutable',
      hidden: '',
    },
    'ops.erasure_places': { shown: 'tenant_id erasure_id place done finished_at', hidden: 'position' },
    'ops.erasure_steps': { shown: 'tenant_id erasure_id step started_at finished_at', hidden: 'details' },
    'ops.erasures': {
      shown:
        'tenant_id erasure_id scope status step early requested_by requested_at started_at finished_at held_by attempts error next_pass_at updated_at',
      hidden: 'person_id reason position pseudonym_key report next_watch_at watch_ended',
    },
    'ops.idempotency': {
      shown: '',
      hidden: 'tenant_id route key fingerprint status headers body created_at expires_at',
    },
    'ops.key_versions': { shown: 'version last_used_at', hidden: '' },
    'ops.migration_checksums': { shown: '', hidden: 'name sha256 applied_at phase after_release' },
    'ops.migrations': { shown: '', hidden: 'id name run_on' },
    'ops.outbox': { shown: 'id tenant_id created_at', hidden: 'events' },
    'ops.quarantine': {
      shown: 'id queue tenant_id reason status attempts created_at resolved_at resolved_by',
      hidden: 'identity detail message_id body properties resolution',
    },
    'ops.tenant_exports': {
      shown:
        'tenant_id export_id status requested_by rows files bytes failures created_at worked_at completed_at delete_after',
      hidden: 'position error',
    },
    'ops.tenant_export_files': {
      shown: '',
      hidden: 'tenant_id export_id name source rows bytes sha256 created_at',
    },
    'ops.webhook_deliveries': {
      shown:
        'tenant_id delivery_id endpoint_id event_id event_type status attempts next_attempt_at give_up_at last_attempt_at outcome response_status delivered_at created_at',
      hidden: 'payload',
    },
    'ops.webhook_endpoints': {
      shown:
        'tenant_id endpoint_id event_types is_active managed_by disabled_reason disabled_at failing_since last_success_at old_secret_expires_at created_at updated_at version',
      hidden: 'url description secret secret_key_id old_secret old_secret_key_id created_by',
    },
    'ops.watermarks': { shown: 'job updated_at', hidden: 'position' },
    'ops.invitations': {
      shown: '',
      hidden:
        'tenant_id invitation_id email roles token_hash invited_by invited_by_user created_at expires_at accepted_at accepted_by revoked_at revoked_by',
    },
    'ops.recovery_codes': { shown: '', hidden: 'user_id code_hash created_at used_at' },
    'ops.user_identities': { shown: '', hidden: 'issuer subject user_id created_at last_seen_at' },
    'ops.user_tokens': { shown: '', hidden: 'token_hash purpose user_id created_at expires_at used_at' },
    'ops.user_totp': {
      shown: '',
      hidden: 'user_id secret_sealed encryption_key_id confirmed_at last_step created_at',
    },
    'public.users': {
      shown: 'user_id is_active is_verified created_at updated_at version',
      hidden:
        'email password_hash password_changed_at first_name last_name company phone email_verified_at failed_sign_ins locked_until last_login_at azure_region resource_group',
    },
    'public.user_roles': {
      shown: 'tenant_id role_name permissions is_system_role created_at updated_at version',
      hidden: 'description',
    },
    'public.user_role_assignments': {
      shown:
        'tenant_id user_id role_name source assigned_by assigned_at expires_at is_active ended_at ended_by updated_at',
      hidden: 'issued_at',
    },
    'public.user_sessions': {
      shown:
        'tenant_id session_id user_id methods created_at last_accessed_at expires_at revoked_at revoked_by',
      hidden: 'token_hash ip_address user_agent idle_expires_at',
    },
    'public.analysis_metrics': {
      shown: 'tenant_id id metric_name metric_unit time_period created_at expires_at',
      hidden: 'metric_value evidence_refs metadata',
    },
    'public.analysis_requests': {
      shown: 'tenant_id request_id analysis_type priority status created_at updated_at expires_at version',
      hidden: 'period metrics evidence_refs metadata idempotency_key',
    },
    'public.analysis_responses': {
      shown:
        'tenant_id request_id confidence processing_time_ms model_used template_fallback_used template_id created_at',
      hidden:
        'explanation remediation_steps policy_recommendations analysis_metadata version_info submitted_response fingerprint',
    },
    'public.analysis_templates': {
      shown:
        'tenant_id id template_name template_type template_version is_active created_at updated_at version',
      hidden: 'template_content variables metadata',
    },
    'public.api_keys': {
      shown:
        'tenant_id key_id permissions rate_limit_per_hour rate_limit_per_day is_active last_used_at expires_at revoked_at replaced_by created_by made_by_user created_at updated_at version',
      hidden: 'key_name key_hash key_prefix pepper_id',
    },
    'public.audit_logs': {
      shown:
        'tenant_id id actor action resource_type resource_id outcome trace_id azure_region created_at received_at',
      hidden:
        'event_source event_id user_id details ip_address user_agent subscription_id resource_group canonical leaf_hash',
    },
    'public.compliance_mappings': {
      shown:
        'id taxonomy_label compliance_framework framework_requirement severity remediation_guidance frameworks_version is_active created_at updated_at version',
      hidden: '',
    },
    'public.data_retention_policies': {
      shown:
        'tenant_id policy_id data_type retention_days auto_delete compliance_framework is_active applied_at created_at updated_at version',
      hidden: 'description',
    },
    'public.detector_configs': {
      shown:
        'tenant_id id detector_name detector_set detector_type detector_version confidence_threshold health_status last_health_check_at is_active created_at updated_at version',
      hidden: 'configuration endpoint_url',
    },
    'public.detector_results': {
      shown:
        'tenant_id request_id detector attempt status processing_time_ms confidence created_at below_threshold',
      hidden: 'output metadata error',
    },
    'public.legal_holds': {
      shown: 'tenant_id hold_id placed_by placed_at released_by released_at created_at updated_at version',
      hidden: 'name reason scope held_ids',
    },
    'public.mapper_requests': {
      shown:
        'tenant_id request_id orchestration_request_id detector encryption_key_id model_version processing_mode priority status created_at updated_at expires_at version review_status reviewed_by reviewed_at',
      hidden: 'output source_data metadata idempotency_key review_note',
    },
    'public.mapper_responses': {
      shown: 'tenant_id request_id record_id confidence processing_time_ms model_used created_at',
      hidden: 'taxonomy scores notes provenance policy_context version_info fingerprint',
    },
    'public.model_versions': {
      shown:
        'id model_name model_version checksum is_active azure_region activated_at created_at updated_at version',
      hidden: 'model_path azure_blob_url azure_container_name',
    },
    'public.orchestration_requests': {
      shown:
        'tenant_id request_id job_id encryption_key_id content_type policy_bundle routing_plan_id environment processing_mode priority status created_at updated_at expires_at version',
      hidden:
        'content content_mac coverage_rule metadata required_detectors excluded_detectors idempotency_key user_id',
    },
    'public.orchestration_responses': {
      shown:
        'tenant_id request_id total_processing_time_ms detectors_attempted detectors_succeeded coverage_achieved coverage_method coverage_threshold fallback_used created_at',
      hidden: 'detector_results aggregated_payload mapping_result routing_decision error fingerprint',
    },
    'public.retention_runs': {
      shown:
        'run_id job as_of started_at finished_at status cutoff examined deleted kept_on_hold not_archived bytes triggered_by created_at',
      hidden: 'details error cursor',
    },
    'public.routing_plans': {
      shown:
        'tenant_id id plan_name coverage_method coverage_threshold is_active created_at updated_at version',
      hidden:
        'primary_detectors secondary_detectors parallel_groups sequential_dependencies timeout_config retry_config weights required_taxonomy_categories',
    },
    'public.storage_records': {
      shown:
        'tenant_id id partition_day model_version detector timestamp source_table source_id encrypted encryption_key_id container_name blob_bytes access_tier archived_at created_at expires_at azure_region',
      hidden: 'source_data mapped_data metadata s3_key blob_url blob_sha256 resource_group subscription_id',
    },
    'public.taxonomy_labels': {
      shown:
        'id label category subcategory description severity taxonomy_version is_active created_at updated_at version',
      hidden: '',
    },
    'public.tenant_configs': {
      shown: 'tenant_id azure_region created_at updated_at version',
      hidden: 'config_data azure_subscription_id azure_resource_group azure_key_vault_url',
    },
    'public.tenants': {
      shown:
        'tenant_id name status plan_id data_key_id created_at updated_at version has_quota billing_standing billing_grace_ends_at status_changed_at offboarding_ends_at offboarding_began_by',
      hidden: 'status_reason',
    },
  },
  billing: {
    'ops.erasure_places': { shown: 'tenant_id erasure_id place done finished_at', hidden: 'position' },
    'ops.checkout_sessions': {
      shown: 'tenant_id checkout_id plan_id billing_cycle promotional_code status created_at expires_at',
      hidden: 'stripe_session_id wish',
    },
    'ops.free_tier_periods': {
      shown:
        'tenant_id usage_type reset_period period_start period_end used usage_limit recorded_at mode plan_id reported',
      hidden: 'user_id',
    },
    'ops.idempotency': {
      shown: '',
      hidden: 'tenant_id route key fingerprint status headers body created_at expires_at',
    },
    'ops.meter_windows': {
      shown:
        'tenant_id window_id usage_type period_start period_end amount status event_name meter_id reported_at sent_at attempts created_at',
      hidden: 'error',
    },
    'ops.migration_checksums': { shown: '', hidden: 'name sha256 applied_at phase after_release' },
    'ops.migrations': { shown: '', hidden: 'id name run_on' },
    'ops.outbox': { shown: 'id tenant_id created_at', hidden: 'events' },
    'ops.plan_prices': {
      shown:
        'stripe_price_id plan_id kind billing_cycle usage_type currency unit_amount_decimal is_current archived_at created_at updated_at',
      hidden: '',
    },
    'ops.stripe_customers': {
      shown:
        'tenant_id stripe_customer_id first_attempt_at last_attempt_at change_number created_at updated_at is_erased customer_deleted_at',
      hidden: '',
    },
    'ops.stripe_mismatches': {
      shown: 'mismatch_id kind object_type object_id tenant_id found_at last_seen_at resolved_at',
      hidden: 'details',
    },
    'ops.usage_reservations': { shown: 'tenant_id reservation_id usage_type amount created_at', hidden: '' },
    'ops.usage_thresholds': {
      shown: 'tenant_id usage_type reset_period period_start threshold reached_at',
      hidden: 'user_id',
    },
    'public.billing_invoices': {
      shown:
        'tenant_id invoice_id subscription_id invoice_number status billing_reason currency subtotal discount tax total amount_due amount_paid amount_remaining period_start period_end due_at finalized_at paid_at voided_at attempt_count next_payment_attempt_at stripe_invoice_id stripe_subscription_id stripe_payment_intent_id synced_at created_at updated_at version',
      hidden: 'user_id line_items hosted_invoice_url invoice_pdf',
    },
    'public.billing_payments': {
      shown:
        'tenant_id payment_id invoice_id amount currency status failure_code refunded_amount dispute_status payment_method_type card_brand card_last_four stripe_payment_intent_id stripe_charge_id paid_at synced_at created_at updated_at version',
      hidden: 'user_id',
    },
    'public.billing_plans': {
      shown:
        'plan_id plan_name plan_type price_monthly price_yearly currency features limits stripe_price_id stripe_product_id is_active created_at updated_at version stripe_price_id_yearly limit_policies allowances stripe_meters trial_days synced_at',
      hidden: '',
    },
    'public.free_tier_usage': {
      shown:
        'tenant_id usage_type reset_period current_usage reserved usage_limit anchor_date anchor_day last_reset_at next_reset_at created_at updated_at version mode plan_id anchor_at reported',
      hidden: 'user_id',
    },
    'public.payment_methods': {
      shown:
        'tenant_id payment_method_id type card_brand card_last_four card_exp_month card_exp_year is_default is_active stripe_payment_method_id synced_at created_at updated_at version',
      hidden: 'user_id billing_address',
    },
    'public.promotional_code_usage': {
      shown:
        'tenant_id code subscription_id status checkout_session_id reserved_at used_at discount_applied currency created_at updated_at',
      hidden: 'user_id',
    },
    'public.promotional_codes': {
      shown:
        'code description discount_type discount_value currency duration duration_in_months max_uses current_uses valid_from valid_until applicable_plans stripe_coupon_id stripe_promotion_code_id synced_at is_active created_at updated_at version',
      hidden: '',
    },
    'public.stripe_events': {
      shown:
        'event_id type api_version livemode object_type object_id tenant_id created found_by status attempts next_attempt_at processed_at received_at created_at updated_at',
      hidden: 'payload error',
    },
    'public.usage_records': {
      shown:
        'tenant_id id subscription_id usage_type usage_amount usage_unit resource_type occurred_at received_at billing_period_start billing_period_end created_at',
      hidden: 'event_source event_id user_id resource_id',
    },
    'public.user_subscriptions': {
      shown:
        'tenant_id subscription_id plan_id status billing_cycle current_period_start current_period_end trial_start trial_end stripe_subscription_id stripe_customer_id created_at updated_at version stripe_status stripe_item_id stripe_price_id cancel_at_period_end cancel_at canceled_at ended_at billing_cycle_anchor past_due_since promotional_code synced_at',
      hidden: 'user_id',
    },
  },
  analytics: {
    'ops.erasure_places': { shown: 'tenant_id erasure_id place done finished_at', hidden: 'position' },
    'ops.health_periods': {
      shown: 'service_name granularity period_start checks degraded unhealthy',
      hidden: '',
    },
    'public.alert_configs': {
      shown:
        'tenant_id config_id severity cooldown_minutes is_active last_triggered_at last_ended_at created_at updated_at version',
      hidden: 'name description condition',
    },
    'public.alert_history': {
      shown:
        'tenant_id alert_id config_id severity status sample_count triggered_at acknowledged_at acknowledged_by resolved_at resolved_by resolution created_at',
      hidden: 'config_name condition measured_value',
    },
    'public.system_health': {
      shown: 'id service_name check_type status score latency_ms checked_at status_since created_at',
      hidden: 'details',
    },
    'ops.consumed_events': { shown: '', hidden: 'tenant_id event_source event_id consumed_at' },
    'ops.idempotency': {
      shown: '',
      hidden: 'tenant_id route key fingerprint status headers body created_at expires_at',
    },
    'ops.migration_checksums': { shown: '', hidden: 'name sha256 applied_at phase after_release' },
    'ops.migrations': { shown: '', hidden: 'id name run_on' },
    'ops.outbox': { shown: 'id tenant_id created_at', hidden: 'events' },
    'public.performance_metrics': {
      shown:
        'tenant_id id service_name metric_name metric_value metric_unit instance_id measured_at created_at',
      hidden: 'metadata',
    },
    'public.usage_metrics': {
      shown:
        'tenant_id metric_name granularity period_start metric_unit metric_value event_count created_at updated_at id',
      hidden: '',
    },
  },
};
