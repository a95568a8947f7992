// The function app: Flex Consumption, Python 3.13, no key and no connection string in its settings.
// No healthCheckPath: /api/health speaks of deliveries, not of the process, and the platform would replace well instances.
import { cidr } from 'ranges.bicep'

@description('What makes names of this installation unlike all others.')
param token string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Name of the identity of the app.')
param identityName string

@description('Name of the storage account of the Functions host.')
param hostStorageName string

@description('Name of the Application Insights component.')
param insightsName string

@description('Resource id of the workspace that the logs go to.')
param workspaceId string

@description('Address of bic.toml.')
param settingsUrl string

@description('NCRONTAB of the tick.')
param tickSchedule string

@description('Minutes of a visit.')
param visitMinutes int

@description('Most instances at once, for each group of functions that scales by itself.')
param maximumInstances int

@description('Instances in several zones.')
param zoneRedundant bool

@description('Recreate or RollingUpdate.')
param siteUpdateStrategy string

@description('Address ranges from which routes may be called; empty: any.')
param callerRanges string[]

@description('Address ranges from which code may be deployed; empty: any.')
param administratorRanges string[]

@description('Telemetry by OpenTelemetry.')
param openTelemetry bool

@description('Secret that opens the pages; empty: there are none.')
param pageKeyName string

@description('Secret that opens them for reading only; empty: no such key.')
param viewKeyName string

@description('App registration for signing in to the pages; empty: by key only.')
param entraClientId string

@description('Resource id of the subnet through which the app goes out; empty: no network.')
param subnetId string

@description('callerRanges as access restrictions.')
var callers = [
  for (range, index) in callerRanges: {
    name: 'caller-${index}'
    priority: 100 + index
    action: 'Allow'
    ipAddress: cidr(range)
  }
]

@description('administratorRanges as access restrictions.')
var deployers = [
  for (range, index) in administratorRanges: {
    name: 'administrator-${index}'
    priority: 100 + index
    action: 'Allow'
    ipAddress: cidr(range)
  }
]

@description('Settings that only some installations have.')
var chosenSettings = union(
  openTelemetry
    ? {
        AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry'
        PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
      }
    : {},
  empty(pageKeyName) ? {} : { BIC_PAGE_KEY: 'keyvault:${pageKeyName}' },
  empty(viewKeyName) ? {} : { BIC_VIEW_KEY: 'keyvault:${viewKeyName}' },
  empty(entraClientId) ? {} : { BIC_ENTRA: 'on' }
)

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostStorageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-bic-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-bic-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientCertEnabled: false
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identity.id
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    outboundVnetRouting: empty(subnetId) ? null : { allTraffic: true }
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: maximumInstances
        triggers: { http: { perInstanceConcurrency: 8 } } // unset it is 1 for Python: a page that asks often would make instances
      }
      #disable-next-line BCP037 // a preview that Azure's libraries have and the compiler's types do not know yet
      siteUpdateStrategy: { type: siteUpdateStrategy }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${host.properties.primaryEndpoints.blob}deployment'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.3'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
      ipSecurityRestrictionsDefaultAction: empty(callerRanges) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: callers
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: empty(administratorRanges) ? 'Allow' : 'Deny'
      scmIpSecurityRestrictions: deployers
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(chosenSettings, {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identity.properties.clientId
      AzureWebJobsStorage__blobServiceUri: host.properties.primaryEndpoints.blob
      AzureWebJobsStorage__queueServiceUri: host.properties.primaryEndpoints.queue
      AzureWebJobsStorage__tableServiceUri: host.properties.primaryEndpoints.table
      APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
      BIC_SETTINGS: settingsUrl
      BIC_IDENTITY: identity.properties.clientId
      BIC_TICK_SCHEDULE: tickSchedule
      BIC_VISIT_MINUTES: string(visitMinutes)
    })
  }

  // Who signed in is told to the app, which guards its pages itself; the other routes take function keys, as without this.
  resource signIn 'config' = if (!empty(entraClientId)) {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      globalValidation: { requireAuthentication: false, unauthenticatedClientAction: 'AllowAnonymous' }
      identityProviders: {
        azureActiveDirectory: {
          enabled: true
          registration: {
            clientId: entraClientId
            openIdIssuer: '${environment().authentication.loginEndpoint}${subscription().tenantId}/v2.0'
          }
          validation: {
            allowedAudiences: [entraClientId, 'api://${entraClientId}']
            defaultAuthorizationPolicy: { allowedApplications: [entraClientId] }
          }
        }
      }
      login: { tokenStore: { enabled: false } }
    }
  }

  // Deployment by the own identity of whoever deploys, never by a password.
  resource noFtpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noScmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

// What the host itself says, also when telemetry has broken down.
#disable-next-line use-recent-api-versions // Azure offers logs in no other version
resource hostLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'log'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'FunctionAppLogs', enabled: true }]
  }
}

@description('Name of the function app.')
output appName string = app.name
