// The identities that run things. What each may do is granted by the module of the resource.

@description('The region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workload and environment: comply-ai-dev.')
param namePrefix string

// The app. In PostgreSQL it is comply_app, which is bound to one tenant at a time.
resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${namePrefix}-app'
  location: location
  tags: tags
}

// The app's second identity. It has no rights but to be comply_jobs in PostgreSQL. With one identity for both roles, a
// connection of a request could become the role that crosses tenants.
resource jobs 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${namePrefix}-jobs'
  location: location
  tags: tags
}

// The gateway reads its certificate, and nothing else.
resource gateway 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${namePrefix}-gateway'
  location: location
  tags: tags
}

@description('The app’s identity.')
output appId string = app.id

@description('The app’s identity, as roles name it.')
output appPrincipalId string = app.properties.principalId

@description('The app’s identity, as a client names it when it asks for a token.')
output appClientId string = app.properties.clientId

@description('The identity of comply_jobs.')
output jobsId string = jobs.id

@description('The identity of comply_jobs, as roles name it.')
output jobsPrincipalId string = jobs.properties.principalId

@description('The identity of comply_jobs, as a client names it.')
output jobsClientId string = jobs.properties.clientId

@description('The gateway’s identity.')
output gatewayId string = gateway.id

@description('The gateway’s identity, as roles name it.')
output gatewayPrincipalId string = gateway.properties.principalId
